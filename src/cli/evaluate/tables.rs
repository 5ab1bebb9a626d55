//! The classes and the confusions of an evaluation as text.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use crate::{
    evaluation::{ClassMetrics, Evaluation},
    report::percent,
};

/// Up to this many classes, all are listed and the confusion matrix is drawn.
const FEW: usize = 20;
/// Of more, so many classes and confusions are listed.
const LISTED: usize = 20;
/// The width of a column of the confusion matrix, and of the longest name above it.
const COLUMN: usize = 6;
const COLUMN_NAME: usize = 5;

/// Precision and recall of each class, or of the classes with the lowest recall.
pub(super) fn classes(evaluation: &Evaluation) -> String {
    let mut text = String::new();
    let mut shown: Vec<&ClassMetrics> = evaluation.classes.iter().collect();
    if shown.len() > FEW {
        let _ = writeln!(text, "the {LISTED} classes with the lowest recall of {}", shown.len());
        shown.retain(|class| class.recall.is_some());
        shown.sort_by(|a, b| a.recall.unwrap_or(1.0).total_cmp(&b.recall.unwrap_or(1.0)));
        shown.truncate(LISTED);
    }
    let width = widest(shown.iter().map(|class| class.class.as_str())).max("class".len());
    let _ = writeln!(text, "{}  images  precision  recall", right("class", width));
    for class in shown {
        let [precision, recall] = [class.precision, class.recall].map(|s| s.map_or("-".into(), percent));
        let name = right(&class.class, width);
        let _ = writeln!(text, "{name}  {:>6}  {precision:>9}  {recall:>7}", class.images);
    }
    text
}

/// The confusion matrix, or the most frequent confusions of many classes.
pub(super) fn confusion(evaluation: &Evaluation) -> String {
    if evaluation.classes.len() > FEW { frequent(evaluation) } else { matrix(evaluation) }
}

fn matrix(evaluation: &Evaluation) -> String {
    let names: Vec<&str> = evaluation.classes.iter().map(|class| class.class.as_str()).collect();
    // Long names have numbers instead, which the rows explain.
    let numbered = widest(names.iter().copied()) > COLUMN_NAME;
    let column = |index: usize| if numbered { index.to_string() } else { names[index].to_owned() };
    let row = |index: usize| if numbered { format!("{} {index:>2}", names[index]) } else { names[index].to_owned() };
    let rows: Vec<String> = (0..names.len()).map(row).collect();
    let corner = "label \\ answer";
    let width = widest(rows.iter().map(String::as_str)).max(corner.len());
    let mut text = right(corner, width);
    text.extend((0..names.len()).map(|index| right(&column(index), COLUMN)));
    text.push('\n');
    for (row, counts) in rows.iter().zip(&evaluation.confusion) {
        text += &right(row, width);
        for count in counts {
            // Dots for zeros make the misses stand out.
            let count = if *count == 0 { "\u{b7}".to_owned() } else { count.to_string() };
            let _ = write!(text, "{count:>COLUMN$}");
        }
        text.push('\n');
    }
    text
}

fn frequent(evaluation: &Evaluation) -> String {
    let confusions = evaluation.confusions();
    if confusions.is_empty() {
        return "no class was taken for another\n".into();
    }
    let listed = &confusions[..confusions.len().min(LISTED)];
    let mut text = match confusions.len() {
        count if count > LISTED => format!("the {LISTED} most frequent of {count} confusions: "),
        _ => "all confusions: ".to_owned(),
    };
    text += "label \u{2192} answer, and how many images\n";
    let name = |class: usize| evaluation.classes[class].class.as_str();
    let labels = widest(listed.iter().map(|confusion| name(confusion.label)));
    let answers = widest(listed.iter().map(|confusion| name(confusion.answer)));
    for confusion in listed {
        let (label, answer) = (name(confusion.label), name(confusion.answer));
        let images = evaluation.classes[confusion.label].images;
        let _ = writeln!(
            text,
            "  {} \u{2192} {}  {} of {images}",
            right(label, labels),
            left(answer, answers),
            confusion.images
        );
    }
    text
}

/// The width of the widest text, in columns of a terminal.
pub(super) fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(UnicodeWidthStr::width).max().unwrap_or(0)
}

/// A text and spaces behind it.
pub(super) fn left(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    /// An evaluation of these classes, from pairs of label and answer.
    fn evaluation(names: &[String], pairs: &[(usize, usize, usize)]) -> Evaluation {
        let mut confusion = vec![vec![0; names.len()]; names.len()];
        for (label, answer, images) in pairs {
            confusion[*label][*answer] = *images;
        }
        Evaluation::of(confusion, names)
    }

    #[test]
    fn long_names_are_numbered_and_wide_characters_are_aligned() {
        let names = ["T-shirt", "あ", "coat"].map(String::from);
        let evaluation = evaluation(&names, &[(0, 0, 978), (0, 2, 2), (1, 1, 1135)]);
        assert_snapshot!(classes(&evaluation) + "\n" + &confusion(&evaluation), @r"
          class  images  precision  recall
        T-shirt     980   100.00 %  99.80 %
             あ    1135   100.00 %  100.00 %
           coat       0     0.00 %        -

        label \ answer     0     1     2
            T-shirt  0   978     ·     2
                 あ  1     ·  1135     ·
               coat  2     ·     ·     ·
        ");
    }

    #[test]
    fn of_many_classes_the_worst_are_listed() {
        let names: Vec<String> = ('a'..='z').map(String::from).collect();
        let mut pairs: Vec<_> = (0..26).map(|class| (class, class, 100 - class)).collect();
        assert_snapshot!(confusion(&evaluation(&names, &pairs)), @"no class was taken for another");
        pairs.extend([(8, 11, 34), (11, 8, 20), (14, 16, 3)]);
        let evaluation = evaluation(&names, &pairs);
        assert_snapshot!(classes(&evaluation).lines().take(5).collect::<Vec<_>>().join("\n"), @"
        the 20 classes with the lowest recall of 26
        class  images  precision  recall
            i     126    82.14 %  73.02 %
            l     109    72.36 %  81.65 %
            o      89   100.00 %  96.63 %
        ");
        assert_snapshot!(confusion(&evaluation), @"
        all confusions: label → answer, and how many images
          i → l  34 of 126
          l → i  20 of 109
          o → q  3 of 89
        ");
    }
}
