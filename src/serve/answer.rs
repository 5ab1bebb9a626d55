//! What is answered for each picture.

use std::{collections::BTreeMap, slice};

use base64::{Engine, engine::general_purpose::STANDARD};
use burn::tensor::Tensor;
use serde::Serialize;

use super::{
    limits::MEGAPIXELS,
    pictures::{File, Pictures},
    query::Query,
};
use crate::{
    Result,
    data::{PIXELS, images_tensor},
    fused::values,
    inference::{Prediction, Trained},
    picture::{Finding, decode},
    reading::Reading,
};

/// An entry of the answer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Entry {
    /// The same as `predict --json` gives, and what was wished.
    Predicted {
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(flatten)]
        prediction: Prediction,
        #[serde(skip_serializing_if = "Option::is_none")]
        seen: Option<String>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        layers: Layers,
    },
    /// What is wrong with the picture.
    Failed {
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        error: String,
    },
}

/// The values of layers by their names.
type Layers = BTreeMap<&'static str, Values>;

/// The values of a layer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Values {
    /// `[maps][rows][columns]`
    Maps(Vec<Vec<Vec<f32>>>),
    /// `[units]`
    Units(Vec<f32>),
}

/// An entry for each picture, in order.
///
/// # Errors
/// The device fails.
pub(super) fn answer(trained: &Trained, pictures: &Pictures, query: &Query) -> Result<Vec<Entry>> {
    match pictures {
        Pictures::Framed(bytes) => {
            let (images, _) = bytes.as_chunks();
            trained.read_framed(images)?.iter().map(|reading| framed(trained, reading, query)).collect()
        }
        Pictures::Files(files) => files.iter().map(|file| read(trained, file, query)).collect(),
    }
}

fn framed(trained: &Trained, reading: &Reading, query: &Query) -> Result<Entry> {
    let is_blank = reading.image.iter().all(|pixel| *pixel == reading.image[0]);
    if is_blank {
        return Ok(Entry::Failed { name: None, error: Finding::OneShade.to_string() });
    }
    let prediction = Prediction::with_top(reading, false, &trained.card, query.top);
    predicted(trained, None, prediction, &reading.image, query)
}

fn read(trained: &Trained, file: &File, query: &Query) -> Result<Entry> {
    let name = file.name.clone();
    let picture = match decode(&file.bytes, MEGAPIXELS * 1_000_000) {
        Ok(picture) => picture,
        Err(error) => return Ok(Entry::Failed { name, error }),
    };
    match trained.recognize(&picture)? {
        Ok((mut prediction, reading)) => {
            prediction.ranking.truncate(query.top);
            predicted(trained, name, prediction, &reading.image, query)
        }
        Err(error) => Ok(Entry::Failed { name, error }),
    }
}

fn predicted(
    trained: &Trained,
    name: Option<String>,
    prediction: Prediction,
    image: &[u8; PIXELS],
    query: &Query,
) -> Result<Entry> {
    Ok(Entry::Predicted {
        name,
        prediction,
        seen: query.seen.then(|| STANDARD.encode(image)),
        layers: if query.layers.is_empty() { BTreeMap::new() } else { layers(trained, image, &query.layers)? },
    })
}

fn layers(trained: &Trained, image: &[u8; PIXELS], names: &[&'static str]) -> Result<Layers> {
    let input = images_tensor(slice::from_ref(image).iter(), trained.card.scale, &trained.device);
    let layers = trained.net.layers(input);
    let value = |name: &&'static str| {
        let value = match *name {
            "c1" => maps(layers.c1.clone())?,
            "s2" => maps(layers.s2.clone())?,
            "c3" => maps(layers.c3.clone())?,
            "s4" => maps(layers.s4.clone())?,
            "c5" => Values::Units(values(layers.c5.clone())?),
            "f6" => Values::Units(values(layers.f6.clone())?),
            _ => Values::Units(values(layers.output.clone())?),
        };
        Ok((*name, value))
    };
    names.iter().map(value).collect()
}

fn maps(tensor: Tensor<4>) -> Result<Values> {
    let [_, _, rows, columns] = tensor.dims();
    let map = |map: &[f32]| map.chunks(columns).map(<[f32]>::to_vec).collect();
    Ok(Values::Maps(values(tensor)?.chunks(rows * columns).map(map).collect()))
}
