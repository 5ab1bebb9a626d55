//! The names of classes.

use std::sync::Arc;

use super::ImageSet;
use crate::{Error, Result, config::CLASSES};

/// The names of MNIST's classes: "0" to "9".
#[must_use]
pub fn digits() -> Vec<String> {
    numbered(10)
}

/// Numbers as the names of classes that have no others: "0", "1" and so on.
#[must_use]
pub fn numbered(classes: usize) -> Vec<String> {
    (0..classes).map(|class| class.to_string()).collect()
}

/// Names as a message lists them: all of a few, else the first ones and the last.
pub(crate) fn listed(names: &[String]) -> String {
    match names {
        [first, second, third, _, _, _, .., last] => format!("{first}, {second}, {third}, …, {last}"),
        few => few.join(", "),
    }
}

/// Labels as classes, in ascending order.
pub(super) struct Occurring(Vec<u8>);

impl Occurring {
    /// The labels that occur, and those that are named, if all names are numbers.
    ///
    /// # Errors
    /// There are fewer classes than a net can tell apart.
    pub(super) fn new(labels: &[u8], names: &[String]) -> Result<Self> {
        let mut occurs = [false; 256];
        let numbers: Vec<u8> = names.iter().map(|name| name.parse().ok()).collect::<Option<_>>().unwrap_or_default();
        for label in labels.iter().chain(&numbers) {
            occurs[usize::from(*label)] = true;
        }
        let occurring: Vec<u8> = (0..=u8::MAX).filter(|label| occurs[usize::from(*label)]).collect();
        if let [only] = occurring[..] {
            let fewest = CLASSES.start();
            return Err(Error::Data(format!("all labels are {only}; a net needs at least {fewest} classes")));
        }
        Ok(Self(occurring))
    }

    /// The labels, in ascending order.
    pub(super) fn labels(&self) -> &[u8] {
        &self.0
    }

    /// Their names: their labels.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.iter().map(u8::to_string).collect()
    }

    /// For each label the index of its class.
    ///
    /// # Errors
    /// A label is none of them.
    pub(super) fn indices(&self, labels: &[u8]) -> Result<Vec<u8>> {
        let index = |(image, label): (usize, &u8)| {
            let index = self.0.binary_search(label).ok().and_then(|index| u8::try_from(index).ok());
            index.ok_or_else(|| {
                let known = listed(&self.names());
                Error::Data(format!(
                    "label {label} of image {image} has no training images, which have the labels {known}. If it belongs to \
                     the classes nevertheless, name all of them with data.classes"
                ))
            })
        };
        labels.iter().enumerate().map(index).collect()
    }
}

impl ImageSet {
    /// The names of the classes, by their index.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The name of an image's class.
    ///
    /// # Panics
    /// `index` is not below [`ImageSet::len`].
    #[must_use]
    pub fn class(&self, index: usize) -> &str {
        &self.classes[usize::from(self.label(index))]
    }

    /// How many images each class has, by its index.
    #[must_use]
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        (0..self.len()).for_each(|i| counts[usize::from(self.label(i))] += 1);
        counts
    }

    /// Whether the classes are the ten digits.
    #[must_use]
    pub fn shows_digits(&self) -> bool {
        self.classes[..] == digits()
    }

    /// The same images with other names for their classes. If the names are those that the classes already have, in another
    /// order or with some more, each class keeps its name; otherwise they take the new names in their order.
    ///
    /// # Errors
    /// There are more or fewer names than classes.
    pub fn with_classes(self, names: &[String]) -> Result<Self> {
        let found = |class: &String| names.iter().position(|name| name == class);
        let missing: Vec<String> = self.classes.iter().filter(|class| found(class).is_none()).cloned().collect();
        if missing.is_empty() {
            let indices: Vec<u8> = self.classes.iter().filter_map(|class| u8::try_from(found(class)?).ok()).collect();
            let labels = self.labels.iter().map(|label| indices[usize::from(*label)]).collect();
            return Ok(Self { labels: Arc::new(labels), classes: names.into(), ..self });
        }
        let classes = self.classes.len();
        if names.len() == classes {
            return Ok(Self { classes: names.into(), ..self });
        }
        let remedy = "Name each, or set it to [] for those of the data";
        Err(Error::Data(if missing.len() < classes {
            let are = if missing.len() == 1 { "is" } else { "are" };
            format!(
                "data.classes names only some of the data's {classes} classes: {} {are} missing. {remedy}",
                listed(&missing)
            )
        } else {
            format!(
                "data.classes names {} classes ({}), but the data have {classes}: {}. {remedy}",
                names.len(),
                listed(names),
                listed(&self.classes),
            )
        }))
    }
}
