//! What is wrong with a data set, or worth knowing about it.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// So many paths are named in a message.
const NAMED: usize = 3;

/// Something about a data set that a person should know, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// A word for it, such as "unreadable".
    pub kind: &'static str,
    /// How many images or files it is about.
    pub count: usize,
    /// Whether a net learns worse from it, or is measured wrongly.
    pub spoils: bool,
    /// What it is.
    pub text: String,
    /// The files or images that it is about, each with what is wrong with it.
    pub examples: Vec<String>,
}

impl Problem {
    /// Something that spoils a training.
    pub(crate) fn spoils(kind: &'static str, count: usize, text: String) -> Self {
        Self { kind, count, spoils: true, text, examples: Vec::new() }
    }

    /// Something that is only worth knowing.
    pub(super) fn note(kind: &'static str, count: usize, text: String) -> Self {
        Self { spoils: false, ..Self::spoils(kind, count, text) }
    }
}

/// A number with its noun, such as "1 picture" and "2 pictures".
pub(crate) fn counted(count: usize, noun: &str) -> String {
    match (count, noun.strip_suffix("class")) {
        (1, _) => format!("1 {noun}"),
        (_, Some(_)) => format!("{count} {noun}es"),
        _ => format!("{count} {noun}s"),
    }
}

/// Paths as a message lists them: the first ones, and how many more there are.
pub(super) fn listed_paths(paths: &[PathBuf]) -> String {
    let named: Vec<String> = paths.iter().take(NAMED).map(|path| Path::display(path).to_string()).collect();
    let more = paths.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}
