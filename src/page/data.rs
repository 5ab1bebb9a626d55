//! The page of `lenet data`.

use std::path::Path;

use image::{Rgb, RgbImage, imageops};
use serde::Serialize;
use serde_json::json;

use super::{
    charts::{DARK, LIGHT},
    render,
    sprites::{Palette, png_url, sprite},
};
use crate::{
    Result,
    config::Config,
    data::{IMAGE_SIDE, ImageSet, Inspection, PIXELS, Part, Splits},
    files::write_atomically,
    picture::open,
};

/// How many classes have examples, at most.
const MAX_CLASSES: usize = 20;
/// Examples of each class.
const EXAMPLES: usize = 12;
/// The side of an example as it was before, in pixels.
const THUMBNAIL: u32 = 56;

/// A class with its images.
#[derive(Serialize)]
struct Class {
    name: String,
    train: usize,
    valid: usize,
    test: usize,
    /// Its training images as a share of the largest class's, in percent.
    share: usize,
    mean: Option<String>,
}

/// Some images of a class.
#[derive(Serialize)]
struct Examples {
    class: String,
    /// The pictures, if the images were made from such.
    before: Option<String>,
    after: String,
}

/// Writes a page about the images of a run.
///
/// # Errors
/// The page cannot be written.
pub fn write_data(config: &Config, splits: &Splits, inspection: &Inspection, path: &Path) -> Result<()> {
    let most = inspection.classes.iter().map(|class| class.train).max().unwrap_or(0).max(1);
    let means = means(&splits.train);
    let classes = inspection.classes.iter().zip(means).map(|(class, mean)| {
        let mean = mean.map(|mean| sprite(&mean, IMAGE_SIDE, 1, Palette::Grey)).transpose()?;
        let share = 100 * class.train / most;
        Ok(Class { name: class.class.clone(), train: class.train, valid: class.valid, test: class.test, share, mean })
    });
    let classes = classes.collect::<Result<Vec<_>>>()?;
    let shown = 0..splits.train.classes().len().min(MAX_CLASSES);
    let examples = shown.filter_map(|class| examples(splits, class).transpose()).collect::<Result<Vec<_>>>()?;
    let page = render(
        "data.html",
        &json!({
            "title": config.data.folder.file_name().map_or_else(|| "Data".into(), |name| name.to_string_lossy()),
            "about": splits.in_one_line(config),
            "images": [splits.train.len(), splits.valid.len(), splits.test.len()],
            "frame": splits.source.found.frame,
            "classes": classes,
            "problems": inspection.problems,
            "spoiled": inspection.is_spoiled(),
            "examples": examples,
            "more": splits.train.classes().len().saturating_sub(MAX_CLASSES),
            "light": LIGHT,
            "dark": DARK,
        }),
    )?;
    write_atomically(path, page.as_bytes())
}

/// The mean training image of each class; `None` without any.
fn means(train: &ImageSet) -> Vec<Option<Vec<f32>>> {
    let mut sums = vec![(0_usize, vec![0.0_f32; PIXELS]); train.classes().len()];
    for i in 0..train.len() {
        let (count, sum) = &mut sums[usize::from(train.label(i))];
        *count += 1;
        sum.iter_mut().zip(train.image(i)).for_each(|(sum, pixel)| *sum += f32::from(*pixel));
    }
    let mean =
        |(count, sum): (usize, Vec<f32>)| (count > 0).then(|| sum.iter().map(|sum| sum / count as f32).collect());
    sums.into_iter().map(mean).collect()
}

/// The first training images of a class; `None` without any.
fn examples(splits: &Splits, class: usize) -> Result<Option<Examples>> {
    let train = &splits.train;
    let of_class = (0..train.len()).filter(|i| usize::from(train.label(*i)) == class);
    let shown: Vec<usize> = of_class.take(EXAMPLES).collect();
    if shown.is_empty() {
        return Ok(None);
    }
    let tiles: Vec<f32> = shown.iter().flat_map(|i| train.image(*i).map(f32::from)).collect();
    let pictures: Vec<&Path> = shown.iter().filter_map(|i| splits.picture(Part::Train, *i)).collect();
    let before = if pictures.is_empty() { None } else { Some(strip(&pictures)?) };
    // As wide as if there were all of them, so that rows are to the same scale.
    let missing = vec![0.0; (EXAMPLES - shown.len()) * PIXELS];
    let after = sprite(&[tiles, missing].concat(), IMAGE_SIDE, EXAMPLES, Palette::Grey)?;
    Ok(Some(Examples { class: train.classes()[class].clone(), before, after }))
}

/// Pictures in a row, each fitted into a square.
fn strip(pictures: &[&Path]) -> Result<String> {
    /// Neither light nor dark, as the gaps between images.
    const GROUND: Rgb<u8> = Rgb([128; 3]);
    const STEP: u32 = THUMBNAIL + 2;
    #[expect(clippy::cast_possible_truncation, reason = "a dozen")]
    let mut strip = RgbImage::from_pixel(EXAMPLES as u32 * STEP - 2, THUMBNAIL, GROUND);
    for (column, path) in (0..).zip(pictures) {
        // It was read before; where it is gone meanwhile, its square stays empty.
        let Ok(picture) = open(path) else { continue };
        let small = picture.thumbnail(THUMBNAIL, THUMBNAIL).to_rgb8();
        let [x, y] = [small.width(), small.height()].map(|side| i64::from((THUMBNAIL - side.min(THUMBNAIL)) / 2));
        imageops::overlay(&mut strip, &small, i64::from(column * STEP) + x, y);
    }
    png_url(&strip.into())
}
