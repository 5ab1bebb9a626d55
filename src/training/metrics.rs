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
}

impl MeanOverPictures {
    pub(super) fn new(figure: Figure) -> Self {
        let name = Arc::new(figure.name().to_owned());
        Self { figure, name, state: NumericMetricState::default(), waiting: Vec::new() }
    }

    fn format(&self) -> FormatOptions {
        let options = FormatOptions::new(self.name());
        self.figure
            .unit()
            .map_or_else(|| options.precision(4), |unit| FormatOptions::new(self.name()).unit(unit).precision(2))
    }

    fn read(&mut self, outcomes: &[Outcome]) -> Result<(), TensorReadError> {
        if !outcomes.is_empty() {
            let (mean, pictures) = self.figure.mean(outcomes)?;
            self.state.update(mean, pictures);
        }
        Ok(())
    }
}

impl Metric for MeanOverPictures {
    type Input = Outcome;

    fn update(&mut self, outcome: &Outcome, _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        if let Figures::Known { .. } = outcome.figures {
            self.read(std::slice::from_ref(outcome))?;
        } else {
            self.waiting.push(outcome.clone());
            if self.waiting.len() < TOGETHER {
                return Ok(SerializedEntry::not_available(self.figure.unit()));
            }
            let waiting = std::mem::take(&mut self.waiting);
            self.read(&waiting)?;
        }
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        let waiting = std::mem::take(&mut self.waiting);
        self.read(&waiting)?;
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
