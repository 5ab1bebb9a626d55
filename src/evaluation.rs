//! Measures a net on labelled images: loss, accuracy, confusion, calibration, misses and dead units.

use burn::{data::dataloader::DataLoader, tensor::Device};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    Error, Result,
    data::{BatchLoader, ImageSet},
    model::{LeNet5, argmax},
};

/// Images in a mini-batch.
const BATCH_SIZE: usize = 1000;
/// Images whose activations are in memory at once when dead units are looked for.
const CHUNK_SIZE: usize = 100;
/// Bins of confidence for measuring calibration.
const BINS: usize = 10;
/// How many misses are kept individually.
const KEPT_MISSES: usize = 100;

/// The results of a net on a set of labelled images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The number of images.
    pub images: usize,
    /// Mean cross-entropy in nats, without label smoothing.
    pub loss: f64,
    /// The fraction of correctly classified images, 0 to 1.
    pub accuracy: f64,
    /// The mean of the classes' recall, 0 to 1: accuracy as if each class had equally many images. `None` in reports of older
    /// versions.
    #[serde(default)]
    pub balanced_accuracy: Option<f64>,
    /// The number of misclassified images.
    pub misses: usize,
    /// Precision and recall of each class, by its index.
    pub classes: Vec<ClassMetrics>,
    /// `confusion[label][prediction]`: how many images with a label got a prediction.
    pub confusion: Vec<Vec<usize>>,
    /// Confidence and accuracy by bins of confidence, in ascending order; empty bins are left out.
    #[serde(default)]
    pub calibration: Vec<CalibrationBin>,
    /// The expected calibration error over ten bins, 0 to 1: the mean difference between confidence and accuracy.
    ///
    /// Source: Guo et al. 2017, section 2, <https://arxiv.org/abs/1706.04599>.
    #[serde(default)]
    pub calibration_error: f64,
    /// The misses with the highest confidence, at most a hundred.
    #[serde(default)]
    pub worst: Vec<Miss>,
}

/// The images whose prediction has a probability within one tenth of the range 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// The number of images.
    pub images: usize,
    /// The mean probability of their predictions, 0 to 1.
    pub confidence: f64,
    /// The fraction of correctly classified images, 0 to 1.
    pub accuracy: f64,
}

/// A misclassified image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Miss {
    /// Its index in the set, from 0.
    pub index: usize,
    /// The index of its class.
    pub label: usize,
    /// The index of the predicted class.
    pub answer: usize,
    /// The probability of the predicted class, 0 to 1.
    pub probability: f64,
    /// The probability of the label, 0 to 1.
    pub probability_of_label: f64,
}

/// The fraction of dead units, 0 to 1: those that none of the first 1,000 images of a set activates. A map counts as
/// one unit, which is dead if none of its positions is ever activated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DeadUnits {
    /// Of C1's 6 maps.
    pub c1: f64,
    /// Of C3's 16 maps.
    pub c3: f64,
    /// Of C5's 120 units.
    pub c5: f64,
    /// Of F6's 84 units.
    pub f6: f64,
}

impl DeadUnits {
    /// Of C5's and F6's 204 units together.
    #[must_use]
    pub fn dense(self) -> f64 {
        (self.c5 * 120.0 + self.f6 * 84.0) / 204.0
    }
}

/// Precision and recall of a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Its name; older reports have a digit's number.
    #[serde(deserialize_with = "name_or_number")]
    pub class: String,
    /// The number of images of this class.
    pub images: usize,
    /// Of the images with this prediction, the fraction that belongs to this class, 0 to 1; `None` if there is no such image.
    pub precision: Option<f64>,
    /// Of the images of this class, the fraction that got this prediction, 0 to 1; `None` if there is no such image.
    pub recall: Option<f64>,
}

fn name_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Class {
        Name(String),
        Number(usize),
    }
    Ok(match Class::deserialize(deserializer)? {
        Class::Name(name) => name,
        Class::Number(number) => number.to_string(),
    })
}

/// Images of one class that are taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confusion {
    /// The index of their class.
    pub label: usize,
    /// The index of the other class.
    pub answer: usize,
    /// How many there are.
    pub images: usize,
}

impl Evaluation {
    /// Which classes are taken for which others, the most frequent confusion first.
    #[must_use]
    pub fn confusions(&self) -> Vec<Confusion> {
        let rows = self.confusion.iter().enumerate();
        let cells = rows.flat_map(|(label, row)| {
            row.iter().enumerate().map(move |(answer, images)| Confusion { label, answer, images: *images })
        });
        let mut confusions: Vec<_> = cells.filter(|cell| cell.label != cell.answer && cell.images > 0).collect();
        confusions.sort_by_key(|confusion| std::cmp::Reverse(confusion.images));
        confusions
    }

    /// What can be said of a confusion matrix alone.
    #[cfg(test)]
    pub(crate) fn of(confusion: Vec<Vec<usize>>, names: &[String]) -> Self {
        Tally { confusion, ..Tally::new(names.len()) }.finish(names)
    }
}

/// The counts and sums of an evaluation under way.
struct Tally {
    confusion: Vec<Vec<usize>>,
    loss: f64,
    bins: [Bin; BINS],
    misses: Vec<Miss>,
}

/// The counts and sums of a bin of confidence.
#[derive(Default)]
struct Bin {
    images: usize,
    correct: usize,
    /// The sum of the probabilities of their predictions.
    confidence: f64,
}

impl Tally {
    fn new(classes: usize) -> Self {
        Self { confusion: vec![vec![0; classes]; classes], loss: 0.0, bins: Default::default(), misses: Vec::new() }
    }

    fn add(&mut self, index: usize, label: usize, logits: &[f32]) {
        let prediction = argmax(logits);
        let loss = cross_entropy(logits, label);
        let probability = (-cross_entropy(logits, prediction)).exp();
        self.confusion[label][prediction] += 1;
        self.loss += loss;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10; NaN becomes 0")]
        let bin = ((probability * BINS as f64) as usize).min(BINS - 1);
        self.bins[bin].images += 1;
        self.bins[bin].correct += usize::from(label == prediction);
        self.bins[bin].confidence += probability;
        if label != prediction {
            let probability_of_label = (-loss).exp();
            self.misses.push(Miss { index, label, answer: prediction, probability, probability_of_label });
        }
    }

    fn finish(mut self, names: &[String]) -> Evaluation {
        let confusion = self.confusion;
        let images: usize = confusion.iter().flatten().sum();
        let correct: usize = (0..confusion.len()).map(|c| confusion[c][c]).sum();
        let classes: Vec<ClassMetrics> = (0..confusion.len())
            .map(|class| {
                let labelled = confusion[class].iter().sum();
                let predicted = confusion.iter().map(|row: &Vec<usize>| row[class]).sum();
                let correct = confusion[class][class];
                ClassMetrics {
                    class: names[class].clone(),
                    images: labelled,
                    precision: fraction(correct, predicted),
                    recall: fraction(correct, labelled),
                }
            })
            .collect();
        let recalls: Vec<f64> = classes.iter().filter_map(|class| class.recall).collect();
        let calibration: Vec<CalibrationBin> = self
            .bins
            .iter()
            .filter(|bin| bin.images > 0)
            .map(|bin| CalibrationBin {
                images: bin.images,
                confidence: bin.confidence / bin.images as f64,
                accuracy: bin.correct as f64 / bin.images as f64,
            })
            .collect();
        let gap = |bin: &CalibrationBin| (bin.confidence - bin.accuracy).abs() * bin.images as f64;
        self.misses.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        self.misses.truncate(KEPT_MISSES);
        Evaluation {
            images,
            loss: self.loss / images.max(1) as f64,
            accuracy: fraction(correct, images).unwrap_or(0.0),
            balanced_accuracy: Some(recalls.iter().sum::<f64>() / recalls.len().max(1) as f64),
            misses: images - correct,
            classes,
            confusion,
            calibration_error: calibration.iter().map(gap).sum::<f64>() / images.max(1) as f64,
            calibration,
            worst: self.misses,
        }
    }
}

fn fraction(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Measures a net on every image of a set.
///
/// # Errors
/// The set is empty, the device fails, or the loss is not a finite number.
pub fn evaluate(net: &LeNet5, set: &ImageSet, device: &Device) -> Result<Evaluation> {
    if set.is_empty() {
        return Err(Error::Data("there are no images in this split".into()));
    }
    let classes = set.classes().len();
    if net.classes() != classes {
        return Err(Error::Data(format!("the net has {} classes, but the images have {classes}", net.classes())));
    }
    let loader = BatchLoader::new(set.clone(), BATCH_SIZE, device.clone());
    let mut tally = Tally::new(classes);
    let mut index = 0;
    for batch in loader.iter() {
        let batch = batch.map_err(|e| Error::Data(e.to_string()))?;
        for logits in net.logits(&batch.images, device)?.iter() {
            tally.add(index, usize::from(set.label(index)), logits);
            index += 1;
        }
    }
    if !tally.loss.is_finite() {
        return Err(Error::Data(
            "the net's loss is not a finite number: its parameters are damaged or its training diverged".into(),
        ));
    }
    Ok(tally.finish(set.classes()))
}

/// Measures how many units none of the first 1,000 images of a set activates.
///
/// # Errors
/// The device fails.
pub fn dead_units(net: &LeNet5, set: &ImageSet, device: &Device) -> Result<DeadUnits> {
    let loader = BatchLoader::new(set.slice(0, BATCH_SIZE), CHUNK_SIZE, device.clone());
    let mut strongest: [Vec<f32>; 4] = Default::default();
    for batch in loader.iter() {
        let batch = batch.map_err(|e| Error::Data(e.to_string()))?;
        let units = net.strongest_units(&batch.images, device)?;
        for (units, strongest) in units.into_iter().zip(&mut strongest) {
            strongest.resize(units.len(), 0.0);
            for (strongest, unit) in strongest.iter_mut().zip(units) {
                *strongest = strongest.max(unit);
            }
        }
    }
    let [c1, c3, c5, f6] =
        strongest.map(|units| fraction(units.iter().filter(|unit| **unit <= 0.0).count(), units.len()).unwrap_or(0.0));
    Ok(DeadUnits { c1, c3, c5, f6 })
}

/// Cross-entropy in nats, `ln Σ exp zₖ - z_label`. The assignment's formula has the prediction where the label belongs.
fn cross_entropy(logits: &[f32], label: usize) -> f64 {
    let top = f64::from(logits[argmax(logits)]);
    let sum: f64 = logits.iter().map(|z| (f64::from(*z) - top).exp()).sum();
    top + sum.ln() - f64::from(logits[label])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_accuracy_counts_each_class_the_same() {
        let names = ["rare", "common", "absent"].map(String::from);
        // One of two, and 98 of 98.
        let evaluation = Evaluation::of(vec![vec![1, 1, 0], vec![0, 98, 0], vec![0, 0, 0]], &names);
        assert_eq!((evaluation.accuracy, evaluation.balanced_accuracy), (0.99, Some(0.75)));
        assert_eq!(evaluation.confusions(), [Confusion { label: 0, answer: 1, images: 1 }]);
    }

    #[test]
    fn reports_of_older_versions_have_numbers_for_names() {
        let old = r#"{ "class": 3, "images": 2, "precision": 1.0, "recall": null }"#;
        assert_eq!(serde_json::from_str::<ClassMetrics>(old).unwrap().class, "3");
    }
}
