//! Loss and accuracy for the learner: means over pictures, read back from a device many mini-batches at once.

use std::sync::Arc;

use burn::{
    tensor::{Tensor, TensorReadError},
    train::metric::{
        Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
        SerializedEntry,
        state::{FormatOptions, NumericMetricState},
    },
};

use super::step::{Figures, Outcome};

/// Mini-batches whose figures a device hands over together.
const TOGETHER: usize = 32;

/// A figure of a mini-batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    /// The mean loss of a picture.
    Loss,
    /// The share of pictures read rightly, in percent.
    Accuracy,
}

impl Figure {
    /// The name under which the learner logs it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Loss => "Loss",
            Self::Accuracy => "Accuracy",
        }
    }

    fn unit(self) -> Option<&'static str> {
        (self == Self::Accuracy).then_some("%")
    }

    /// The mean over the pictures of some mini-batches, and how many pictures that were.
    fn mean(self, outcomes: &[Outcome]) -> Result<(f64, usize), TensorReadError> {
        let (mut sum, mut pictures) = (0.0, 0);
        let (mut losses, mut sizes, mut logits, mut targets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for outcome in outcomes {
            pictures += outcome.pictures;
            match (self, &outcome.figures) {
                (Self::Loss, Figures::Known { loss, .. }) => sum += loss * outcome.pictures as f64,
                (Self::Accuracy, Figures::Known { hits, .. }) => sum += *hits as f64,
                (Self::Loss, Figures::OnDevice(tensors)) => {
                    losses.push(tensors.loss.clone());
                    sizes.push(outcome.pictures as f64);
                }
                (Self::Accuracy, Figures::OnDevice(tensors)) => {
                    logits.push(tensors.logits.clone());
                    targets.push(tensors.targets.clone());
                }
            }
        }
        if !losses.is_empty() {
            let losses = Tensor::cat(losses, 0).try_into_data()?;
            sum += losses.iter::<f64>().zip(sizes).map(|(loss, size)| loss * size).sum::<f64>();
        }
        if !logits.is_empty() {
            let answers = Tensor::cat(logits, 0).argmax(1).flatten::<1>(0, 1);
            sum += answers.equal(Tensor::cat(targets, 0)).int().sum().try_into_scalar::<f64>()?;
        }
        let percent = if self == Self::Accuracy { 100.0 } else { 1.0 };
        Ok((sum * percent / pictures as f64, pictures))
    }
}

/// The mean of a figure over all pictures. Burn's own loss weights every batch alike, the last and smaller one too.
#[derive(Clone)]
pub(super) struct MeanOverPictures {
    figure: Figure,
    name: MetricName,
    state: NumericMetricState,
    /// What is still on a device.
    waiting: Vec<Outcome>,
    /// What the dashboard shows.
    shown: String,
}

impl MeanOverPictures {
    pub(super) fn new(figure: Figure) -> Self {
        let name = Arc::new(figure.name().to_owned());
        Self { figure, name, state: NumericMetricState::default(), waiting: Vec::new(), shown: String::new() }
    }

    fn format(&self) -> FormatOptions {
        let options = FormatOptions::new(self.name());
        match self.figure.unit() {
            Some(unit) => options.unit(unit).precision(2),
            None => options.precision(4),
        }
    }

    /// Reads what was waiting.
    fn read(&mut self) -> Result<(), TensorReadError> {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            let (mean, pictures) = self.figure.mean(&waiting)?;
            self.state.update(mean, pictures);
        }
        Ok(())
    }
}

impl Metric for MeanOverPictures {
    type Input = Outcome;

    fn update(&mut self, outcome: &Outcome, metadata: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        self.waiting.push(outcome.clone());
        let at_hand = matches!(outcome.figures, Figures::Known { .. });
        if !at_hand && self.waiting.len() < TOGETHER && !metadata.progress.is_completed() {
            // The last figures are still shown, and nothing is logged.
            return Ok(SerializedEntry::new(self.shown.clone(), String::new()));
        }
        self.read()?;
        let entry = self.state.compute_update(self.format());
        self.shown.clone_from(&entry.formatted);
        Ok(entry)
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        self.read()?;
        Ok(self.state.compute_final(self.format()))
    }

    fn clear(&mut self) {
        self.state.reset();
        self.waiting.clear();
    }

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn attributes(&self) -> MetricAttributes {
        let unit = self.figure.unit().map(ToOwned::to_owned);
        NumericAttributes { unit, higher_is_better: self.figure == Figure::Accuracy }.into()
    }
}

impl Numeric for MeanOverPictures {
    fn value(&self) -> Option<NumericEntry> {
        self.waiting.is_empty().then(|| self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.waiting.is_empty().then(|| self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        data::dataloader::Progress,
        tensor::{Device, TensorData},
    };

    use super::*;
    use crate::training::step::OnDevice;

    /// Some mini-batches of four pictures and a last one of three, as numbers and as a device's tensors.
    fn outcomes() -> Vec<[Outcome; 2]> {
        let outcome = |index: usize| {
            let pictures = if index == 69 { 3 } else { 4 };
            let (hits, loss) = (index % (pictures + 1), index as f32 / 8.0);
            let device = Device::flex();
            // The label is 2 for all; the answer is 2 for the hits, else 7.
            let logit = |at: usize| if at % 10 == if at / 10 < hits { 2 } else { 7 } { 1.0 } else { 0.0 };
            let logits: Vec<f32> = (0..pictures * 10).map(logit).collect();
            let tensors = OnDevice {
                loss: Tensor::from_data(TensorData::from([loss]), &device),
                logits: Tensor::from_data(TensorData::new(logits, [pictures, 10]), &device),
                targets: Tensor::from_data(TensorData::new(vec![2; pictures], [pictures]), &device),
            };
            [Figures::Known { loss: loss.into(), hits }, Figures::OnDevice(Box::new(tensors))]
                .map(|figures| Outcome { pictures, figures })
        };
        (0..70).map(outcome).collect()
    }

    #[test]
    fn figures_of_a_device_come_later_and_to_the_same() {
        for figure in [Figure::Loss, Figure::Accuracy] {
            let mut metrics = [MeanOverPictures::new(figure), MeanOverPictures::new(figure)];
            let mut logged = [0, 0];
            // Twice, as in two epochs.
            for _ in 0..2 {
                for (index, outcomes) in outcomes().iter().enumerate() {
                    let progress = Progress::new((4 * (index + 1)).min(279), 279, None);
                    let metadata = MetricMetadata { progress, iteration: Some(index), lr: None };
                    for ((metric, outcome), logged) in metrics.iter_mut().zip(outcomes).zip(&mut logged) {
                        let entry = metric.update(outcome, &metadata).unwrap();
                        *logged += usize::from(!entry.is_not_available());
                        assert_eq!(entry.is_not_available(), metric.value().is_none());
                    }
                }
                let ends = metrics.each_mut().map(|metric| {
                    metric.compute().unwrap();
                    let end = metric.final_value().current();
                    metric.clear();
                    end
                });
                assert!((ends[0] - ends[1]).abs() < 1e-9 && ends[0] > 0.0, "{ends:?}");
            }
            // 32, 64 and 70 mini-batches.
            assert_eq!(logged, [140, 6]);
        }
    }
}
