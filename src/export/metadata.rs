//! What a file says about its net.

use serde_json::json;

use super::{Format, Input};
use crate::{
    Error, Result,
    card::{self, Card},
    config::{Frame, Scale},
};

/// Pairs of a key and a text.
pub type Metadata = Vec<(&'static str, String)>;

/// Where a net comes from, and on what conditions.
pub(super) struct Origin<'a> {
    pub card: &'a Card,
    pub model_sha256: &'a str,
    pub license: Option<&'a str>,
}

impl Origin<'_> {
    pub fn metadata(&self, format: Format, input: Input) -> Result<Metadata> {
        let Self { card, model_sha256, license } = self;
        let mut metadata = vec![
            ("names", names(&card.classes)),
            ("classes", json!(card.classes).to_string()),
            ("input", takes(card.scale, format, input)),
            ("framing", framing(card)),
            ("model_sha256", (*model_sha256).to_owned()),
            ("exported_by", format!("lenet {}", env!("CARGO_PKG_VERSION"))),
            (card::KEY, serde_json::to_string(card).map_err(Error::json("the file's metadata"))?),
        ];
        metadata.extend(card.test_accuracy.map(|accuracy| ("test_accuracy", accuracy.to_string())));
        metadata.extend(license.map(|license| ("license", license.to_owned())));
        metadata.sort_by_key(|(key, _)| *key);
        Ok(metadata)
    }
}

/// The classes as a dictionary of Python, as programs around Ultralytics' YOLO look for it.
fn names(classes: &[String]) -> String {
    let quoted = |name: &str| format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"));
    let entries: Vec<String> =
        classes.iter().enumerate().map(|(class, name)| format!("{class}: {}", quoted(name))).collect();
    format!("{{{}}}", entries.join(", "))
}

/// What the net takes.
fn takes(scale: Scale, format: Format, input: Input) -> String {
    let scaled = match scale {
        Scale::Standard => "(p / 255 - 0.1307) / 0.3081",
        Scale::Unit => "p / 255",
        Scale::Byte => "p itself, unscaled",
    };
    match (format, input) {
        (Format::Onnx, Input::Byte) => {
            "28x28 grey pixels, row by row, from 0 (background) to 255 (foreground); they are scaled inside".into()
        }
        (Format::Onnx, Input::Float) => {
            "28x28 grey pixels, row by row, from 0 (background) to 1 (foreground); they are scaled further inside"
                .into()
        }
        _ => format!(
            "32x32 numbers: a 28x28 grey image in the middle of background; each pixel p, from 0 (background) to 255 \
             (foreground), as {scaled}"
        ),
    }
}

/// How what a picture shows is to be framed.
fn framing(card: &Card) -> String {
    let framed = match card.framing {
        Frame::Auto | Frame::Digit => {
            return "digit: fitted into 20x20 pixels, its aspect ratio kept, anti-aliased; then its centre of mass is \
                    moved to the centre of 28x28 pixels"
                .into();
        }
        Frame::Whole => {
            "whole: the whole picture's brightness, fitted into 28x28 pixels, its aspect ratio kept, anti-aliased, on the \
             median shade of its edges"
        }
        Frame::None => "none: the brightness of a picture of 28x28 pixels",
    };
    let inverted = if card.invert { "; then dark and light are exchanged" } else { "" };
    format!("{framed}{inverted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_dictionary_of_python() {
        let classes = ["0", "it's", "a\\b"].map(String::from);
        assert_eq!(names(&classes), r"{0: '0', 1: 'it\'s', 2: 'a\\b'}");
    }
}
