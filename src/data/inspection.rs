//! A look at all images of a run: how many of each class, and what is wrong with them.

use std::collections::HashMap;

use serde::Serialize;

use super::{ImageSet, PIXELS, Problem, Splits, counted, splits::Part};

/// A class with fewer training images cannot be learned.
const FEWEST: usize = 10;
/// Where the largest class has so many times the images of the smallest one, the smallest is neglected.
const IMBALANCE: usize = 10;
/// So many images are named for each problem.
const NAMED: usize = 20;

const PARTS: [(Part, &str); 3] = [(Part::Train, "training"), (Part::Valid, "validation"), (Part::Test, "test")];

/// How many images there are of each class, and what is wrong with them.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The images of each class, by its index.
    pub classes: Vec<ClassCounts>,
    /// What was left out, and what is wrong with the rest.
    pub problems: Vec<Problem>,
}

/// How many images there are of a class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ClassCounts {
    /// Its name.
    pub class: String,
    /// To learn from.
    pub train: usize,
    /// To validate.
    pub valid: usize,
    /// To test.
    pub test: usize,
}

impl Inspection {
    /// Looks at all images.
    #[must_use]
    pub fn of(splits: &Splits) -> Self {
        let classes = counts(splits);
        let mut problems = splits.source.problems.clone();
        problems.extend(missing(splits, &classes));
        problems.extend(few(&classes));
        problems.extend(imbalance(&classes));
        problems.extend(equal_images(splits));
        problems.extend(blank(splits));
        Self { classes, problems }
    }

    /// Whether something would spoil a training.
    #[must_use]
    pub fn is_spoiled(&self) -> bool {
        self.problems.iter().any(|problem| problem.spoils)
    }
}

fn counts(splits: &Splits) -> Vec<ClassCounts> {
    let [train, valid, test] = [&splits.train, &splits.valid, &splits.test].map(ImageSet::class_counts);
    let names = splits.train.classes().iter();
    let counts = names.zip(train).zip(valid).zip(test);
    counts.map(|(((class, train), valid), test)| ClassCounts { class: class.clone(), train, valid, test }).collect()
}

/// Classes that a part lacks.
fn missing(splits: &Splits, classes: &[ClassCounts]) -> Vec<Problem> {
    let of_part = |(part, name): (Part, &str)| {
        let count = |class: &ClassCounts| match part {
            Part::Train => class.train,
            Part::Valid => class.valid,
            Part::Test => class.test,
        };
        let missing: Vec<String> =
            classes.iter().filter(|class| count(class) == 0).map(|class| class.class.clone()).collect();
        let which = match missing.len() {
            0..=3 => super::listed(&missing),
            many => format!("{} ({})", counted(many, "class"), super::listed(&missing)),
        };
        let text = format!("there are no {name} images of {which}: add some");
        (!missing.is_empty() && !splits.part(part).is_empty())
            .then(|| Problem::spoils("missing class", missing.len(), text))
    };
    PARTS.into_iter().filter_map(of_part).collect()
}

fn few(classes: &[ClassCounts]) -> Option<Problem> {
    let few: Vec<String> = classes
        .iter()
        .filter(|class| (1..FEWEST).contains(&class.train))
        .map(|class| format!("{} of {}", class.train, class.class))
        .collect();
    let text = format!(
        "there are only a few training images: {}; a class needs at least {FEWEST}, better a hundred",
        super::listed(&few)
    );
    (!few.is_empty()).then(|| Problem::spoils("few images", few.len(), text))
}

fn imbalance(classes: &[ClassCounts]) -> Option<Problem> {
    let most = classes.iter().max_by_key(|class| class.train)?;
    let fewest = classes.iter().filter(|class| class.train > 0).min_by_key(|class| class.train)?;
    let text = format!(
        "{} has {} training images and {} only {}: accuracy says little about the small classes, balanced accuracy does; \
         training.class_weights=balanced gives them the same weight",
        most.class, most.train, fewest.class, fewest.train
    );
    (most.train >= IMBALANCE * fewest.train).then(|| Problem::note("imbalance", most.train - fewest.train, text))
}

/// Where an image is.
type Place = (usize, usize);

/// Equal images with several labels, in several parts, or in one.
fn equal_images(splits: &Splits) -> Vec<Problem> {
    let mut places: HashMap<&[u8; PIXELS], Vec<Place>> = HashMap::new();
    for (number, (part, _)) in PARTS.into_iter().enumerate() {
        let set = splits.part(part);
        (0..set.len()).for_each(|i| places.entry(set.image(i)).or_default().push((number, i)));
    }
    let mut groups: Vec<Vec<Place>> = places.into_values().filter(|places| places.len() > 1).collect();
    groups.sort();
    let label = |(part, i): Place| splits.part(PARTS[part].0).label(i);
    let (conflicts, same): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|group| group.iter().any(|place| label(*place) != label(group[0])));
    let (shared, repeated): (Vec<_>, Vec<_>) =
        same.into_iter().partition(|group| group.iter().any(|place| place.0 != group[0].0));
    let problem = |groups: &[Vec<Place>], kind, what: &dyn Fn(usize, &str) -> String| {
        let count = groups.len();
        let examples: Vec<String> = groups.iter().take(NAMED).map(|group| named(splits, group)).collect();
        let first = examples.first()?.clone();
        Some(Problem { examples, ..Problem::spoils(kind, count, what(count, &first)) })
    };
    let conflicts = problem(&conflicts, "conflicting labels", &|count, first| {
        format!("{} with several labels: {first}. Keep one of each", there(count))
    });
    let shared = problem(&shared, "in two parts", &|count, first| {
        format!(
            "{} to learn from and to measure with, so that the accuracy will be too high: {first}. Remove them from one of the two",
            there(count)
        )
    });
    let repeated =
        problem(&repeated, "repeated", &|count, first| format!("{} more than once in a part: {first}", there(count)));
    conflicts.into_iter().chain(shared).chain(repeated.map(|problem| Problem { spoils: false, ..problem })).collect()
}

fn there(images: usize) -> String {
    if images == 1 { "1 image is there".into() } else { format!("{images} images are there") }
}

/// The places of equal images, such as "a/1.png (training, a) = b/7.png (test, b)".
fn named(splits: &Splits, group: &[Place]) -> String {
    let name = |(number, i): &Place| {
        let (part, word) = PARTS[*number];
        let class = splits.part(part).class(*i);
        match splits.picture(part, *i) {
            Some(path) => format!("{} ({word}, {class})", path.display()),
            None => format!("{word} image {} ({class})", splits.part(part).index_in_data(*i)),
        }
    };
    let names: Vec<String> = group.iter().take(3).map(name).collect();
    names.join(" = ")
}

/// Images of one shade, which pictures that show nothing have not become.
fn blank(splits: &Splits) -> Option<Problem> {
    let is_blank = |image: &[u8; PIXELS]| image.iter().all(|pixel| *pixel == image[0]);
    let blank: Vec<Place> = PARTS
        .into_iter()
        .enumerate()
        .flat_map(|(number, (part, _))| {
            let set = splits.part(part);
            (0..set.len()).filter(|i| is_blank(set.image(*i))).map(move |i| (number, i)).collect::<Vec<_>>()
        })
        .collect();
    let examples: Vec<String> = blank.iter().take(NAMED).map(|place| named(splits, &[*place])).collect();
    let show = if blank.len() == 1 { "shows" } else { "show" };
    let text = format!("{} {show} nothing: {}", counted(blank.len(), "image"), examples.first()?);
    Some(Problem { examples, ..Problem::spoils("blank", blank.len(), text) })
}
