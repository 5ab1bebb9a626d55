//! From the pictures in a folder for each class to images.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use indicatif::ProgressBar;
use rayon::prelude::*;

use super::{
    Labelled, Loaded, PARTS,
    cache::{self, Framed},
    tree::{Picture, Tree},
};
use crate::{
    Error, Result,
    config::Frame,
    data::problems::{Problem, counted, listed_paths},
    picture::{framed, open},
};

/// Pictures that were read in less time are not kept.
const WORTH_KEEPING: Duration = Duration::from_millis(500);

/// Reads the pictures of a tree. By default, classes that are single characters are framed as digits are, others whole.
///
/// # Errors
/// A class has no picture that can be learned from.
pub(super) fn load(tree: Tree, frame: Frame) -> Result<Loaded> {
    let characters = tree.classes.iter().all(|class| class.chars().count() == 1);
    let frame = frame.or(if characters { Frame::Digit } else { Frame::Whole });
    let pictures: Vec<&Picture> = tree.parts.iter().flatten().flatten().collect();
    let mut images = kept_or_read(&tree.root, &pictures, frame).into_iter();
    let mut problems = tree.problems;
    let (mut blank, mut unreadable) = (Vec::new(), Vec::new());
    let mut parts = [None, None, None];
    for (slot, part) in parts.iter_mut().zip(&tree.parts) {
        let Some(part) = part else { continue };
        let mut labelled = Labelled::default();
        for (picture, image) in part.iter().zip(images.by_ref()) {
            match image {
                Framed::Image(image) => {
                    labelled.pixels.extend(&image[..]);
                    labelled.labels.push(picture.class);
                    labelled.pictures.push(picture.path.clone());
                }
                Framed::Blank => blank.push(picture.path.clone()),
                Framed::Unreadable(reason) => unreadable.push((picture.path.clone(), reason)),
            }
        }
        *slot = (!labelled.labels.is_empty()).then_some(labelled);
    }
    problems.extend(of_unreadable(&unreadable));
    problems.extend(of_blank(&blank, frame));
    check_classes(&tree.root, &tree.classes, &parts, &problems)?;
    let split =
        if parts[1].is_some() || parts[2].is_some() { format!(" for {}", named_parts(&parts)) } else { String::new() };
    Ok(Loaded {
        form: format!("a folder of pictures for each class{split}"),
        classes: tree.classes,
        parts,
        frame,
        from_pictures: true,
        is_idx: false,
        is_emnist: false,
        problems,
    })
}

fn named_parts(parts: &[Option<Labelled>; 3]) -> String {
    let there: Vec<&str> = parts.iter().zip(PARTS).filter(|(part, _)| part.is_some()).map(|(_, name)| name).collect();
    there.join(" and ")
}

/// The framed pictures: those kept from last time, or else newly read. What could not be read then is tried again.
fn kept_or_read(root: &Path, pictures: &[&Picture], frame: Frame) -> Vec<Framed> {
    let path = cache::path(root, pictures, frame);
    if let Some(mut kept) = path.as_deref().and_then(|path| cache::read(path, pictures.len())) {
        for (framed, picture) in kept.iter_mut().zip(pictures) {
            if matches!(framed, Framed::Unreadable(_)) {
                *framed = read(&picture.path, frame);
            }
        }
        return kept;
    }
    let start = Instant::now();
    // Shown in a terminal alone.
    let bar = ProgressBar::new(pictures.len() as u64);
    let images: Vec<Framed> = pictures
        .par_iter()
        .map(|picture| {
            let framed = read(&picture.path, frame);
            bar.inc(1);
            framed
        })
        .collect();
    bar.finish_and_clear();
    if let Some(path) = path.filter(|_| start.elapsed() > WORTH_KEEPING) {
        cache::write(&path, &images);
    }
    images
}

fn read(path: &Path, frame: Frame) -> Framed {
    let picture = match open(path) {
        Ok(picture) => picture,
        Err(Error::Picture { reason, .. }) => return Framed::Unreadable(reason),
        Err(other) => return Framed::Unreadable(other.to_string()),
    };
    match framed(&picture, frame) {
        Ok(Some(image)) => Framed::Image(Box::new(image)),
        Ok(None) => Framed::Blank,
        Err(reason) => Framed::Unreadable(reason),
    }
}

fn of_unreadable(unreadable: &[(PathBuf, String)]) -> Option<Problem> {
    let (first, reason) = unreadable.first()?;
    let count = unreadable.len();
    let first = first.display();
    let what = if count == 1 {
        format!("1 picture cannot be read and is left out: {first} {reason}")
    } else {
        format!("{count} pictures cannot be read and are left out; the first is {first}, which {reason}")
    };
    let examples = unreadable.iter().map(|(path, reason)| format!("{} {reason}", path.display())).collect();
    Some(Problem { examples, ..Problem::spoils("unreadable", count, what) })
}

fn of_blank(blank: &[PathBuf], frame: Frame) -> Option<Problem> {
    let count = blank.len();
    let remedy = if frame.cuts_out() { "; with data.frame = \"whole\" faint ones count, too" } else { "" };
    let (show, are) = if count == 1 { ("shows", "is") } else { ("show", "are") };
    let what =
        format!("{} {show} nothing and {are} left out: {}{remedy}", counted(count, "picture"), listed_paths(blank));
    let examples = blank.iter().map(|path| path.display().to_string()).collect();
    (count > 0).then(|| Problem { examples, ..Problem::spoils("blank", count, what) })
}

fn check_classes(root: &Path, classes: &[String], parts: &[Option<Labelled>; 3], problems: &[Problem]) -> Result<()> {
    let mut there = [false; 256];
    for label in parts[0].iter().flat_map(|part| &part.labels) {
        there[usize::from(*label)] = true;
    }
    let Some((class, _)) = classes.iter().zip(there).find(|(_, there)| !there) else { return Ok(()) };
    let why: Vec<&str> = problems
        .iter()
        .filter(|problem| ["unreadable", "blank"].contains(&problem.kind))
        .map(|problem| problem.text.as_str())
        .collect();
    Err(Error::Data(format!("{}: no picture of {class} can be learned from. {}", root.display(), why.join(". "))))
}
