//! Loss and accuracy for the learner: means over images, read from a device for many mini-batches at once.

use std::sync::Arc;

use burn::{
    tensor::{Tensor, TensorReadError},
    train::metric::{
        Metric as BurnMetric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
        SerializedEntry,
        state::{FormatOptions, NumericMetricState},
    },
};

use super::step::{BatchMetrics, BatchOutput};

/// Mini-batches whose metrics are read from a device together.
const READ_EVERY: usize = 32;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    /// The mean loss of an image.
    Loss,
    /// Correctly classified images, in percent.
    Accuracy,
}

impl Metric {
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

    /// The mean over all images of several mini-batches, and how many images these are.
    fn mean(self, outputs: &[BatchOutput]) -> Result<(f64, usize), TensorReadError> {
        let (mut sum, mut images) = (0.0, 0);
        let (mut losses, mut sizes, mut logits, mut targets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for output in outputs {
            images += output.images;
            match (self, &output.metrics) {
                (Self::Loss, BatchMetrics::Known { loss, .. }) => sum += loss * output.images as f64,
                (Self::Accuracy, BatchMetrics::Known { correct, .. }) => sum += *correct as f64,
                (Self::Loss, BatchMetrics::OnDevice(tensors)) => {
                    losses.push(tensors.loss.clone());
                    sizes.push(output.images as f64);
                }
                (Self::Accuracy, BatchMetrics::OnDevice(tensors)) => {
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
        Ok((sum * percent / images as f64, images))
    }
}

/// The mean of a metric over all images. Burn's `LossMetric` gives the last, smaller mini-batch the weight of a full one.
#[derive(Clone)]
pub(super) struct MeanOverImages {
    metric: Metric,
    name: MetricName,
    state: NumericMetricState,
    /// Outputs not read from the device yet.
    waiting: Vec<BatchOutput>,
    /// The text that the dashboard shows.
    shown: String,
}

impl MeanOverImages {
    pub(super) fn new(metric: Metric) -> Self {
        let name = Arc::new(metric.name().to_owned());
        Self { metric, name, state: NumericMetricState::default(), waiting: Vec::new(), shown: String::new() }
    }

    fn format(&self) -> FormatOptions {
        let options = FormatOptions::new(self.name());
        match self.metric.unit() {
            Some(unit) => options.unit(unit).precision(2),
            None => options.precision(4),
        }
    }

    /// Reads the waiting outputs.
    fn read(&mut self) -> Result<(), TensorReadError> {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            let (mean, images) = self.metric.mean(&waiting)?;
            self.state.update(mean, images);
        }
        Ok(())
    }
}

impl BurnMetric for MeanOverImages {
    type Input = BatchOutput;

    fn update(&mut self, output: &BatchOutput, metadata: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        self.waiting.push(output.clone());
        let known = matches!(output.metrics, BatchMetrics::Known { .. });
        if !known && self.waiting.len() < READ_EVERY && !metadata.progress.is_completed() {
            // The text of the last reading stays, and nothing is logged.
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
        let unit = self.metric.unit().map(ToOwned::to_owned);
        NumericAttributes { unit, higher_is_better: self.metric == Metric::Accuracy }.into()
    }
}

impl Numeric for MeanOverImages {
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

    /// Mini-batches of four images and a last one of three, as numbers and as tensors on a device.
    fn outputs() -> Vec<[BatchOutput; 2]> {
        let output = |index: usize| {
            let images = if index == 69 { 3 } else { 4 };
            let (correct, loss) = (index % (images + 1), index as f32 / 8.0);
            let device = Device::flex();
            // The label is always 2; the answer is 2 where it is correct, else 7.
            let logit = |at: usize| if at % 10 == if at / 10 < correct { 2 } else { 7 } { 1.0 } else { 0.0 };
            let logits: Vec<f32> = (0..images * 10).map(logit).collect();
            let tensors = OnDevice {
                loss: Tensor::from_data(TensorData::from([loss]), &device),
                logits: Tensor::from_data(TensorData::new(logits, [images, 10]), &device),
                targets: Tensor::from_data(TensorData::new(vec![2; images], [images]), &device),
            };
            [BatchMetrics::Known { loss: loss.into(), correct }, BatchMetrics::OnDevice(Box::new(tensors))]
                .map(|metrics| BatchOutput { images, metrics })
        };
        (0..70).map(output).collect()
    }

    #[test]
    fn metrics_read_from_a_device_come_later_and_are_the_same() {
        for metric in [Metric::Loss, Metric::Accuracy] {
            let mut metrics = [MeanOverImages::new(metric), MeanOverImages::new(metric)];
            let mut logged = [0, 0];
            // Twice, as in two epochs.
            for _ in 0..2 {
                for (index, outputs) in outputs().iter().enumerate() {
                    let progress = Progress::new((4 * (index + 1)).min(279), 279, None);
                    let metadata = MetricMetadata { progress, iteration: Some(index), lr: None };
                    for ((metric, output), logged) in metrics.iter_mut().zip(outputs).zip(&mut logged) {
                        let entry = metric.update(output, &metadata).unwrap();
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
