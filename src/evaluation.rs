//! How well a net reads labelled pictures.

use burn::{
    data::dataloader::DataLoader,
    tensor::{Device, Tensor},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    data::{BatchLoader, CLASSES, ImageSet},
    model::LeNet5,
};

/// Pictures read at once.
const BATCH_SIZE: usize = 1000;

/// What a net makes of a set of labelled pictures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// How many pictures.
    pub images: usize,
    /// Mean cross-entropy in nats, without label smoothing.
    pub loss: f64,
    /// The share read rightly, 0 to 1.
    pub accuracy: f64,
    /// How many were read wrongly.
    pub misses: usize,
    /// Precision and recall of each class.
    pub classes: Vec<ClassFigures>,
    /// `confusion[label][answer]`: how many pictures of a label got which answer.
    pub confusion: [[usize; CLASSES]; CLASSES],
}

/// One class's share in an [`Evaluation`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassFigures {
    /// The label.
    pub class: usize,
    /// How many pictures carry it.
    pub images: usize,
    /// Of the pictures answered so, the share that are so, 0 to 1; none if there is no such answer.
    pub precision: Option<f64>,
    /// Of the pictures that are so, the share answered so, 0 to 1; none if there is no such picture.
    pub recall: Option<f64>,
}

impl Evaluation {
    fn new(confusion: &[[usize; CLASSES]; CLASSES], loss_sum: f64) -> Self {
        let images: usize = confusion.as_flattened().iter().sum();
        let hits: usize = (0..CLASSES).map(|c| confusion[c][c]).sum();
        let classes = (0..CLASSES)
            .map(|class| {
                let labelled = confusion[class].iter().sum();
                let answered = confusion.iter().map(|row| row[class]).sum();
                let right = confusion[class][class];
                ClassFigures {
                    class,
                    images: labelled,
                    precision: share(right, answered),
                    recall: share(right, labelled),
                }
            })
            .collect();
        Self {
            images,
            loss: loss_sum / images.max(1) as f64,
            accuracy: share(hits, images).unwrap_or(0.0),
            misses: images - hits,
            classes,
            confusion: *confusion,
        }
    }
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Reads every picture of a set.
///
/// # Errors
/// The set is empty, the device fails, or the net's answers are no numbers.
pub fn evaluate(net: &LeNet5, set: &ImageSet, device: &Device) -> Result<Evaluation> {
    if set.is_empty() {
        return Err(Error::Data("there are no pictures in this split".into()));
    }
    let loader = BatchLoader::new(set.clone(), BATCH_SIZE, device.clone());
    let (mut confusion, mut loss_sum) = ([[0; CLASSES]; CLASSES], 0.0);
    let mut index = 0;
    for batch in loader.iter() {
        let batch = batch.map_err(|e| Error::Data(e.to_string()))?;
        for logits in rows(net.forward(batch.images))? {
            let label = usize::from(set.label(index));
            confusion[label][largest(&logits)] += 1;
            loss_sum += cross_entropy(&logits, label);
            index += 1;
        }
    }
    if !loss_sum.is_finite() {
        return Err(Error::Data("the net's answers are no numbers: its parameters are damaged or diverged".into()));
    }
    Ok(Evaluation::new(&confusion, loss_sum))
}

/// The rows of a `[batch, 10]` tensor.
pub(crate) fn rows(tensor: Tensor<2>) -> Result<Vec<[f32; CLASSES]>> {
    let values: Vec<f32> = tensor.try_into_data().map_err(|e| Error::Device(e.to_string()))?.iter().collect();
    Ok(values.as_chunks().0.to_vec())
}

/// The place of the largest value, the first of equals.
pub(crate) fn largest(values: &[f32; CLASSES]) -> usize {
    (1..CLASSES).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// `ln Σ exp zₖ - z_label`: the report's loss, with the label where its formula has the prediction again.
fn cross_entropy(logits: &[f32; CLASSES], label: usize) -> f64 {
    let top = f64::from(logits[largest(logits)]);
    let sum: f64 = logits.iter().map(|z| (f64::from(*z) - top).exp()).sum();
    top + sum.ln() - f64::from(logits[label])
}
