//! What is in a folder, but is no picture of a class.

use std::path::{Path, PathBuf};

use crate::{
    Error,
    data::problems::{Problem, counted, listed_paths},
    formats::{Format, head},
    picture::READABLE,
};

/// What does not belong to a class.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Files outside of classes' folders.
    pub files: Vec<PathBuf>,
    /// Files that are no pictures.
    pub others: Vec<PathBuf>,
    /// Folders without pictures.
    pub empty: Vec<PathBuf>,
}

impl Rest {
    /// What is said of it; `loose` are pictures outside of classes' folders.
    pub fn problems(&self, loose: &[PathBuf]) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !loose.is_empty() {
            let what = format!(
                "{} outside of the classes' folders {} left out: {}",
                counted(loose.len(), "picture"),
                if loose.len() == 1 { "is" } else { "are" },
                listed_paths(loose)
            );
            problems.push(Problem::spoils("outside", loose.len(), what));
        }
        if !self.others.is_empty() {
            let what = format!(
                "{} that {} no picture {} passed over: {}",
                counted(self.others.len(), "file"),
                if self.others.len() == 1 { "is" } else { "are" },
                if self.others.len() == 1 { "is" } else { "are" },
                listed_paths(&self.others)
            );
            problems.push(Problem::note("no picture", self.others.len(), what));
        }
        if !self.empty.is_empty() {
            let what = format!(
                "{} without pictures: {}; put pictures in, or remove it",
                counted(self.empty.len(), "folder"),
                listed_paths(&self.empty)
            );
            problems.push(Problem::spoils("empty", self.empty.len(), what));
        }
        problems
    }
}

/// What is said of a folder without classes.
pub(super) fn nothing(root: &Path, loose: &[PathBuf], rest: &Rest) -> Error {
    let shown = root.display();
    let forms = format!(
        "a folder of pictures ({READABLE}) for each class; or IDX files as MNIST's (train-images-idx3-ubyte, …), a CSV table of \
         labels and pixels, or arrays of NumPy's (npz)"
    );
    Error::Data(if loose.is_empty() {
        let there = match (&rest.others[..], &rest.empty[..]) {
            ([], []) => "it is empty".to_owned(),
            ([], empty) => format!("it holds {} without pictures", counted(empty.len(), "folder")),
            (others, _) => {
                let remedy = others
                    .iter()
                    .filter(|path| path.is_file())
                    .find_map(|path| Format::of(&head(path).ok()?).to_content());
                let remedy = remedy.map(|remedy| format!(". {remedy}")).unwrap_or_default();
                format!("it holds {}: {}{remedy}", counted(others.len(), "other file"), listed_paths(others))
            }
        };
        format!("{shown}: there is no data set in it: {there}. data.folder takes {forms}")
    } else {
        format!(
            "{shown}: {} {} in one folder, so that their classes are unknown: make a folder for each class, named after it, and \
             move its pictures there",
            counted(loose.len(), "picture"),
            if loose.len() == 1 { "is" } else { "are all" },
        )
    })
}
