//! From the arguments of `predict` to a net and pictures.

use std::path::{Path, PathBuf};

use crate::{
    Error, Result,
    artifacts::{PRETRAINED, RunDir},
    formats::{Format, head},
    picture::{Listing, STANDARD_INPUT, has_suffix_of_picture},
    terminal::say,
};

/// A net, and the pictures to read with it.
pub(super) struct Request {
    /// The run, the model file, or [`PRETRAINED`].
    pub run: PathBuf,
    /// Files, or `-` for standard input.
    pub pictures: Vec<PathBuf>,
}

impl Request {
    /// Separates a leading net from the pictures, and replaces folders by the pictures in them.
    ///
    /// # Errors
    /// There is no picture, or the first argument is neither a net nor a picture nor a folder with pictures.
    pub fn new(arguments: &[PathBuf]) -> Result<Self> {
        let (run, named) = match arguments {
            [first, rest @ ..] if is_net(first) => (first.clone(), rest),
            _ => (PRETRAINED.into(), arguments),
        };
        let [first, rest @ ..] = named else {
            let run = run.display();
            return Err(Error::Usage(format!(
                "there is no picture to read after {run}, as in `lenet predict {run} PICTURE`"
            )));
        };
        if named.iter().filter(|path| *path == Path::new(STANDARD_INPUT)).count() > 1 {
            return Err(Error::Usage("standard input (-) can be read only once".into()));
        }
        let mut pictures = expand(first)?;
        if run == Path::new(PRETRAINED) && named.len() == arguments.len() {
            check_first(first, &pictures)?;
        }
        for path in rest {
            pictures.extend(expand(path)?);
        }
        Ok(Self { run, pictures })
    }
}

/// Whether an argument is a net rather than a picture: by its content, if it exists.
fn is_net(path: &Path) -> bool {
    path == Path::new(PRETRAINED)
        || path.is_dir() && RunDir::open(path).is_ok()
        || path.extension().is_some_and(|suffix| suffix == "bpk")
        || path.is_file() && head(path).is_ok_and(|head| Format::of(&head).is_model())
}

/// A misspelt run must not be passed over: another net would read the pictures.
fn check_first(path: &Path, pictures: &[PathBuf]) -> Result<()> {
    let complain = |what: &str| Err(Error::Run(format!("{} is neither a run nor {what}", path.display())));
    if path.is_dir() && pictures == [path] {
        return complain("a folder with pictures in it");
    }
    if path != Path::new(STANDARD_INPUT) && !path.exists() && !has_suffix_of_picture(path) {
        return complain("a picture: it does not exist");
    }
    Ok(())
}

/// The pictures in a folder; or the path itself, if it is no folder, or one without pictures.
fn expand(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let listing = Listing::of(path).map_err(Error::io("read the folder", path))?;
    if listing.pictures.is_empty() {
        return Ok(vec![path.to_owned()]);
    }
    if let Some(rest) = listing.rest() {
        let count = listing.pictures.len();
        say(format!("{}: {count} picture{}; {rest} passed over", path.display(), if count == 1 { "" } else { "s" }));
    }
    Ok(listing.pictures)
}
