//! The contact sheet of `lenet predict --show`: what was found in each picture, for a person who wonders why.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{DynamicImage, RgbImage, RgbaImage, codecs::jpeg::JpegEncoder};
use serde::Serialize;
use serde_json::json;

use super::{
    charts::{DARK, LIGHT},
    render,
    sprites::{Palette, sprite},
};
use crate::{Error, Result, data::IMAGE_SIDE, files::write_atomically, inference};

/// The page's name in its folder.
const PAGE: &str = "predictions.html";
/// What is near the beginning of each such page, and of no other file.
const MARK: &str = r#"<meta name="generator" content="lenet predict --show">"#;
/// So many bytes are its beginning.
const HEAD: u64 = 1000;
/// So many pictures are shown at most: about 20 MB.
const MAX_ENTRIES: usize = 2000;
/// Up to so many pictures, each has at most this longer side, in pixels.
const SIDES: [(usize, u32); 3] = [(60, 640), (300, 320), (usize::MAX, 200)];
/// The quality of their JPEG, out of 100.
const QUALITY: u8 = 85;

/// How an answer was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The net is sure.
    Sure,
    /// It is not.
    Unsure,
    /// There is no answer.
    Refused,
}

/// A contact sheet that is going to be written.
#[derive(Debug)]
pub struct Sheet {
    path: PathBuf,
    /// The longer side of each picture on it, in pixels.
    side: u32,
}

/// A picture on a contact sheet.
#[derive(Debug, Serialize)]
pub struct Entry {
    path: String,
    state: State,
    /// The digit or the number; empty if there is none.
    answer: String,
    /// The reason of a refusal, or a notice; may be empty.
    remark: String,
    /// As a `data:` URL, scaled down.
    picture: Option<String>,
    found: Vec<Found>,
}

/// What was found in a picture.
#[derive(Debug, Serialize)]
struct Found {
    class: String,
    probability: f32,
    sure: bool,
    after_space: bool,
    /// What the net saw, as a `data:` URL.
    image: String,
    /// Left, top, width and height, in percent of the picture's sides.
    place: [f64; 4],
}

impl Sheet {
    /// Prepares a folder for the contact sheet of so many pictures.
    ///
    /// # Errors
    /// The folder cannot be made, or there is another file where the page would be.
    pub fn prepare(folder: &Path, pictures: usize) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
        let path = folder.join(PAGE);
        if path.symlink_metadata().is_ok() && !is_sheet(&path) {
            return Err(Error::Page(format!(
                "{} is there already, and is not a page that --show wrote. Name another folder, or move it away",
                path.display()
            )));
        }
        let side = SIDES.iter().find(|(up_to, _)| pictures <= *up_to).map_or(0, |(_, side)| *side);
        Ok(Self { path, side })
    }

    /// What was found in a picture.
    ///
    /// # Errors
    /// An image cannot be encoded.
    pub fn entry(&self, path: &Path, picture: Option<&DynamicImage>, found: &[inference::Found]) -> Result<Entry> {
        let shown = |picture| {
            let found = found.iter().map(|found| Found::new(found, picture)).collect::<Result<Vec<_>>>()?;
            Ok((reduced(picture, self.side)?, found))
        };
        let (picture, found) = picture.map(shown).transpose()?.unzip();
        Ok(Entry {
            path: path.to_string_lossy().into_owned(),
            state: State::Refused,
            answer: String::new(),
            remark: String::new(),
            picture,
            found: found.unwrap_or_default(),
        })
    }

    /// Writes the page, and says where it is.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, net: &Path, entries: &[Entry]) -> Result<&Path> {
        let count = |state| entries.iter().filter(|entry| entry.state == state).count();
        let page = render(
            "sheet.html",
            &json!({
                "title": "Predictions",
                "mark": MARK,
                "net": net.to_string_lossy(),
                "sure": count(State::Sure),
                "unsure": count(State::Unsure),
                "refused": count(State::Refused),
                "omitted": entries.len().saturating_sub(MAX_ENTRIES),
                "entries": &entries[..entries.len().min(MAX_ENTRIES)],
                "light": LIGHT,
                "dark": DARK,
            }),
        )?;
        write_atomically(&self.path, page.as_bytes())?;
        Ok(&self.path)
    }
}

/// Whether a file is a page that was written here.
fn is_sheet(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    read.is_ok() && String::from_utf8_lossy(&head).contains(MARK)
}

impl Entry {
    /// Adds what is said of the picture: how the answer was given, the answer, and a remark; both may be empty.
    #[must_use]
    pub fn saying(self, state: State, answer: &str, remark: &str) -> Self {
        Self { state, answer: answer.to_owned(), remark: remark.to_owned(), ..self }
    }
}

impl Found {
    fn new(found: &inference::Found, picture: &DynamicImage) -> Result<Self> {
        let pixels: Vec<f32> = found.image.iter().map(|byte| f32::from(*byte)).collect();
        let percent = |length: usize, side: u32| 100.0 * length as f64 / f64::from(side.max(1));
        let (bounds, width, height) = (found.bounds, picture.width(), picture.height());
        Ok(Self {
            class: found.class.clone(),
            probability: found.probability,
            sure: found.sure,
            after_space: found.after_space,
            image: sprite(&pixels, IMAGE_SIDE, 1, Palette::Grey)?,
            place: [
                percent(bounds.left, width),
                percent(bounds.top, height),
                percent(bounds.width, width),
                percent(bounds.height, height),
            ],
        })
    }
}

/// A picture with at most this longer side, in pixels, as a `data:` URL.
fn reduced(picture: &DynamicImage, side: u32) -> Result<String> {
    let small =
        if picture.width().max(picture.height()) > side { picture.thumbnail(side, side) } else { picture.clone() };
    let opaque = if small.color().has_alpha() { on_background(&small.to_rgba8()) } else { small.to_rgb8() };
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode_image(&opaque)
        .map_err(|e| Error::Page(format!("a picture cannot be encoded: {e}")))?;
    Ok(format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg)))
}

/// A transparent picture on white, or on black if what it shows is light.
fn on_background(picture: &RgbaImage) -> RgbImage {
    let (mut light, mut visible) = (0.0, 0.0);
    for pixel in picture.pixels() {
        let [red, green, blue, alpha] = pixel.0.map(f64::from);
        light += (red + green + blue) / 3.0 * alpha;
        visible += alpha;
    }
    let background: u16 = if light > 192.0 * visible { 0 } else { 255 };
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0;
        let alpha = u16::from(alpha);
        #[expect(clippy::cast_possible_truncation, reason = "a mean of two bytes")]
        image::Rgb([red, green, blue].map(|v| ((u16::from(v) * alpha + background * (255 - alpha)) / 255) as u8))
    })
}
