//! The images of a run: what the data hold, as the config wants it, in three parts.

use std::path::{Path, PathBuf};

use super::{ImageSet, Source, counted, division::divide, listed, sources};
use crate::{
    Error, Result,
    config::{Config, DataConfig, Frame, Portion},
    files::sha256_of,
};

/// The three disjoint sets of a run.
#[derive(Debug, Clone)]
pub struct Splits {
    /// To learn from.
    pub train: ImageSet,
    /// To choose the best epoch by; may be empty.
    pub valid: ImageSet,
    /// To test the best epoch, once, at the end.
    pub test: ImageSet,
    /// What the data were found to be.
    pub source: Source,
}

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// To learn from.
    Train,
    /// To validate.
    Valid,
    /// To test.
    Test,
}

impl Splits {
    /// Loads the data set that the config names. What it does not have by itself is held back: of MNIST and IDX files at
    /// random, of others so that each class has its share.
    ///
    /// # Errors
    /// Files are missing or damaged, do not hold what they should, hold fewer images than the config asks for, or other
    /// classes, or the config has settings for digits and the classes are others.
    pub fn load(config: &Config) -> Result<Self> {
        if config.data.folder == Path::new("") {
            return Self::load_mnist(config);
        }
        let mut loaded = sources::load(&config.data)?;
        if loaded.from_pictures {
            check_folders(&loaded.classes, &config.data)?;
        }
        let source = Source::of(&mut loaded, &config.data);
        let mut sets = [None, None, None];
        for (set, part) in sets.iter_mut().zip(loaded.parts) {
            let Some(part) = part else { continue };
            *set = Some(prepared(ImageSet::new(part.pixels, part.labels, loaded.classes.clone())?, config)?);
        }
        let [Some(train), valid, test] = sets else { return Err(Error::Data("there are no training images".into())) };
        check_settings_for_digits(config, &train)?;
        if loaded.is_idx {
            let test = test.unwrap_or_else(|| train.slice(0, 0));
            return at_random(&train, test, config, source);
        }
        let hold_back = |from: &ImageSet, key, portion: Portion, seed| {
            if portion.of(from.len()) >= from.len() {
                return Err(too_large(key, portion, from.len()));
            }
            Ok(divide(from, portion, seed))
        };
        let (rest, test) = match test {
            Some(test) => (train, test),
            None => hold_back(&train, "data.test", config.data.test, config.seed)?,
        };
        let (rest, valid) = match valid {
            Some(valid) => (rest, valid),
            None => hold_back(&rest, "data.validation", config.data.validation, config.seed.wrapping_add(1))?,
        };
        let wanted = wanted(config, rest.len(), rest.len() + valid.len())?;
        Ok(Self { train: rest.permuted(config.seed).slice(0, wanted), valid, test, source })
    }

    fn load_mnist(config: &Config) -> Result<Self> {
        let (train, test) = sources::load_mnist()?;
        let source = Source {
            form: "MNIST".into(),
            found: DataConfig { frame: Frame::Digit, ..config.data.clone() },
            test_is_held_back: false,
            problems: Vec::new(),
            pictures: Default::default(),
        };
        let (train, test) = (prepared(train, config)?, prepared(test, config)?);
        check_settings_for_digits(config, &train)?;
        at_random(&train, test, config, source)
    }

    /// The SHA-256 of the whole data set, all its pixels and labels, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut parts: Vec<&[u8]> = vec![&self.train.pixels, &self.train.labels];
        for set in [&self.valid, &self.test] {
            // What was held back has the others' pixels.
            if !set.shares_pixels(&self.train) {
                parts.extend([&set.pixels[..], &set.labels[..]]);
            }
        }
        sha256_of(&parts)
    }

    /// All images of the data, where none are for testing alone; else the test images.
    #[must_use]
    pub fn all_or_test(&self) -> ImageSet {
        if !self.source.test_is_held_back {
            return self.test.clone();
        }
        let length = self.train.labels.len();
        ImageSet { members: (0..u32::MAX).take(length).collect(), ..self.train.clone() }
    }

    /// One of the three sets.
    #[must_use]
    pub fn part(&self, part: Part) -> &ImageSet {
        match part {
            Part::Train => &self.train,
            Part::Valid => &self.valid,
            Part::Test => &self.test,
        }
    }

    /// The picture that an image was made from, if it was.
    #[must_use]
    pub fn picture(&self, part: Part, index: usize) -> Option<&Path> {
        let set = self.part(part);
        let pictures = &self.source.pictures[if set.shares_pixels(&self.train) { 0 } else { part as usize }];
        pictures.get(set.index_in_data(index)).map(PathBuf::as_path)
    }

    /// What the data were found to be, in a sentence.
    #[must_use]
    pub fn in_one_line(&self, config: &Config) -> String {
        let Source { form, found, .. } = &self.source;
        let [train, valid, test] = [&self.train, &self.valid, &self.test].map(ImageSet::len);
        let classes = self.train.classes();
        let is_held_back = |set: &ImageSet| !set.is_empty() && set.shares_pixels(&self.train);
        let held_back = match (is_held_back(&self.valid), is_held_back(&self.test)) {
            (_, false) => "",
            (false, true) => ", the latter held back",
            (true, true) => ", the latter two held back",
        };
        let orientation = match (found.transpose.is_on(false), found.invert.is_on(false)) {
            (true, true) => "; the images are transposed and inverted",
            (true, false) => "; the images are transposed",
            (false, true) => "; the images are inverted",
            (false, false) => "",
        };
        format!(
            "{} holds {form}: {} ({}); {} to learn from, {valid} to validate, {test} to test{held_back}{orientation}; \
             data.frame = \"{}\" for pictures",
            config.data.folder.display(),
            counted(classes.len(), "class"),
            listed(classes),
            counted(train, "image"),
            found.frame,
        )
    }
}

/// Checks that folders of pictures are among the classes that are named already: a folder says what it holds.
fn check_folders(folders: &[String], data: &DataConfig) -> Result<()> {
    let unknown: Vec<String> = folders.iter().filter(|name| !data.classes.contains(name)).cloned().collect();
    if data.classes.is_empty() || unknown.is_empty() {
        return Ok(());
    }
    Err(Error::Data(format!(
        "{}: {} of pictures {} among the classes {}: {}. Rename the folders, or remove them",
        data.folder.display(),
        counted(unknown.len(), "folder"),
        if unknown.len() == 1 { "is not" } else { "are not" },
        listed(&data.classes),
        listed(&unknown),
    )))
}

/// A set with the config's classes and scale.
fn prepared(set: ImageSet, config: &Config) -> Result<ImageSet> {
    let names = &config.data.classes;
    let set = if names.is_empty() { set } else { set.with_classes(names)? };
    Ok(set.with_scale(config.data.scale))
}

fn check_settings_for_digits(config: &Config, train: &ImageSet) -> Result<()> {
    for (key, value) in [("data.negatives", config.data.negatives), ("augmentation.styles", config.augmentation.styles)]
    {
        if value > 0.0 && !train.shows_digits() {
            let classes = listed(train.classes());
            return Err(Error::Config(format!("{key} is for digits, but the classes are {classes}; set it to 0")));
        }
    }
    Ok(())
}

/// Holds back validation images at random, as data in MNIST's format always had it.
fn at_random(train: &ImageSet, test: ImageSet, config: &Config, source: Source) -> Result<Splits> {
    let total = train.len();
    let held_back = config.data.validation.of(total);
    if held_back >= total {
        return Err(too_large("data.validation", config.data.validation, total));
    }
    let wanted = wanted(config, total - held_back, total)?;
    let order = train.permuted(config.seed);
    Ok(Splits { train: order.slice(held_back, held_back + wanted), valid: order.slice(0, held_back), test, source })
}

fn too_large(key: &str, portion: Portion, total: usize) -> Error {
    Error::Data(format!(
        "{key} = {portion} leaves none of {total} images to learn from; lower it, or set it to a share such as 0.15"
    ))
}

/// How many images to learn from.
fn wanted(config: &Config, rest: usize, total: usize) -> Result<usize> {
    let DataConfig { train, validation, .. } = config.data;
    if train > rest {
        return Err(Error::Data(format!(
            "data.train = {train} but only {rest} of {total} training images are left after data.validation = {validation}; \
             lower one of them"
        )));
    }
    Ok(if train == 0 { rest } else { train })
}
