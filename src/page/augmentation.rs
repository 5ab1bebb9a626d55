//! The page of `lenet augment`.

use std::path::Path;

use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
use serde::Serialize;
use serde_json::json;

use super::{
    charts::{DARK, LIGHT},
    render,
    sprites::{Palette, sprite},
};
use crate::{
    Error, Result,
    config::{AugmentationConfig, Config},
    data::{Augmentation, IMAGE_SIDE, ImageSet, PIXELS, Style, Variation},
    files::write_atomically,
};

/// How many classes are shown, at most.
const MAX_CLASSES: usize = 20;
/// Variants of each image.
const EPOCHS: usize = 15;

/// A range at its ends.
#[derive(Serialize)]
struct Range {
    key: &'static str,
    largest: f64,
    ends: &'static str,
    image: String,
}

/// An image and its variants.
#[derive(Serialize)]
struct Row {
    class: String,
    image: String,
}

/// Writes a page that shows training images beside their variants.
///
/// # Errors
/// All ranges are 0, or the page cannot be written.
pub fn write_augmentation(name: &str, config: &Config, images: &ImageSet, path: &Path) -> Result<()> {
    let ranges = &config.augmentation;
    let augmentation = Augmentation::new(ranges, config.seed).ok_or_else(|| {
        Error::Config("augmentation is off: set at least one of its ranges, such as augmentation.rotation=10".into())
    })?;
    // The first image of each of the first classes.
    let shown: Vec<usize> = (0..images.classes().len().min(MAX_CLASSES))
        .filter_map(|class| (0..images.len()).find(|i| usize::from(images.label(*i)) == class))
        .collect();
    let variants = |index: usize| -> Result<Row> {
        let mut tiles = original(images, index).to_vec();
        for epoch in 1..=EPOCHS {
            tiles.extend(rendered(
                images,
                index,
                &augmentation,
                &augmentation.draw(epoch, images.index_in_data(index), Some(images.label(index))),
            ));
        }
        let image = sprite(&tiles, IMAGE_SIDE, EPOCHS + 1, Palette::Grey)?;
        Ok(Row { class: images.class(index).to_owned(), image })
    };
    let rows = shown.iter().map(|index| variants(*index)).collect::<Result<Vec<_>>>()?;
    let alone = |number: usize| {
        let mut tiles = Vec::new();
        // With the originals between them, so that each digit's three are in a column.
        for end in [Some(0), None, Some(1)] {
            for index in &shown {
                let variation = |end: usize| ends(ranges, images.label(*index))[number].3[end];
                tiles.extend(match end {
                    Some(end) => rendered(images, *index, &augmentation, &variation(end)),
                    None => original(images, *index),
                });
            }
        }
        let (key, largest, ends, _) = ends(ranges, 0)[number];
        Ok(Range { key, largest, ends, image: sprite(&tiles, IMAGE_SIDE, shown.len(), Palette::Grey)? })
    };
    let in_use = ends(ranges, 0).into_iter().enumerate().filter(|(_, range)| range.1 > 0.0);
    let ranges = in_use.map(|(number, _)| alone(number)).collect::<Result<Vec<_>>>()?;
    let page = render(
        "augmentation.html",
        &json!({
            "title": "Augmentation",
            "config": name,
            "ranges": ranges,
            "rows": rows,
            "epochs": EPOCHS,
            "light": LIGHT,
            "dark": DARK,
        }),
    )?;
    write_atomically(path, page.as_bytes())
}

/// A range: its key, its largest value, what its ends are, and the variations at both.
type Ends = (&'static str, f64, &'static str, [Variation; 2]);

/// Each range at its ends, for images with a label.
fn ends(ranges: &AugmentationConfig, label: u8) -> [Ends; 8] {
    let AugmentationConfig { rotation, scale, aspect, shear, shift, elastic, thickness, styles } = *ranges;
    #[expect(clippy::cast_possible_truncation, reason = "no more precision is needed")]
    let at = |largest: f64, vary: &dyn Fn(f32) -> Variation| [vary(-largest as f32), vary(largest as f32)];
    let none = Variation::default;
    [
        (
            "rotation",
            rotation,
            "to the left and to the right",
            at(rotation, &|rotation| Variation { rotation, ..none() }),
        ),
        ("scale", scale, "smaller and larger", at(scale, &|scale| Variation { scale, ..none() })),
        ("aspect", aspect, "narrower and wider", at(aspect, &|aspect| Variation { aspect, ..none() })),
        ("shear", shear, "slanted to the left and to the right", at(shear, &|shear| Variation { shear, ..none() })),
        (
            "shift",
            shift,
            "up and left, down and right",
            at(shift, &|shift| Variation { shift: [shift, shift], ..none() }),
        ),
        (
            "elastic",
            elastic,
            "two distortions of this strength",
            at(elastic, &|elastic| {
                let windows = if elastic < 0.0 { [[0, 0], [128, 128]] } else { [[64, 0], [192, 128]] };
                Variation { elastic: elastic.abs(), windows, ..none() }
            }),
        ),
        ("thickness", thickness, "thinner and thicker", at(thickness, &|thickness| Variation { thickness, ..none() })),
        (
            "styles",
            styles,
            "two strokes added to a 1, a 7 and a 9",
            at(1.0, &|end| {
                let style = Style::draw(label, &mut Xoshiro256PlusPlus::seed_from_u64(u64::from(end > 0.0)));
                Variation { style, ..none() }
            }),
        ),
    ]
}

fn original(images: &ImageSet, index: usize) -> [f32; PIXELS] {
    std::array::from_fn(|i| images.image(index)[i].into())
}

fn rendered(images: &ImageSet, index: usize, augmentation: &Augmentation, variation: &Variation) -> [f32; PIXELS] {
    let mut variant = [0.0; PIXELS];
    augmentation.render(images.image(index), variation, &mut variant);
    variant
}
