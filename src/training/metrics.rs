//! Loss and accuracy for the learner: means over images, read from a device for many mini-batches at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::{
    tensor::{Tensor, TensorReadError, kind::Basic},
    train::metric::{
        Metric as BurnMetric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
        SerializedEntry,
        state::{FormatOptions, NumericMetricState},
    },
};

use super::step::{BatchMetrics, BatchOutput, BatchOutputs};

/// Mini-batches whose metrics are read from a device together.
const READ_EVERY: usize = 32;

/// A metric of a mini-batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    /// The mean loss of an image.
    Loss,
    /// Correctly classified images, in percent.
    Accuracy,
}

impl Metric {
    /// The name under which the learner logs it.
    fn name(self) -> &'static str {
        match self {
            Self::Loss => "Loss",
            Self::Accuracy => "Accuracy",
        }
    }

    fn unit(self) -> Option<&'static str> {
        (self == Self::Accuracy).then_some("%")
    }
}

/// The sum of the losses of all images.
fn loss_sum(outputs: &[BatchOutput]) -> Result<f64, TensorReadError> {
    let mut sum = 0.0;
    let (mut losses, mut sizes) = (Vec::new(), Vec::new());
    for output in outputs {
        match &output.metrics {
            BatchMetrics::Known { loss, .. } => sum += loss * output.images as f64,
            BatchMetrics::OnDevice(tensors) => {
                losses.push(tensors.loss.clone());
                sizes.push(output.images as f64);
            }
        }
    }
    if !losses.is_empty() {
        let losses = on_one_device(losses).try_into_data()?;
        sum += losses.iter::<f64>().zip(sizes).map(|(loss, size)| loss * size).sum::<f64>();
    }
    Ok(sum)
}

/// The tensors as one, on the device of the first.
fn on_one_device<const D: usize, K: Basic>(tensors: Vec<Tensor<D, K>>) -> Tensor<D, K> {
    let device = tensors.first().map(Tensor::device).unwrap_or_default();
    Tensor::cat(tensors.into_iter().map(|tensor| tensor.to_device(&device)).collect(), 0)
}

/// How many images are classified correctly.
fn correct(outputs: &[BatchOutput]) -> Result<usize, TensorReadError> {
    let mut sum = 0;
    let (mut logits, mut targets) = (Vec::new(), Vec::new());
    for output in outputs {
        match &output.metrics {
            BatchMetrics::Known { correct, .. } => sum += correct,
            BatchMetrics::OnDevice(tensors) => {
                logits.push(tensors.logits.clone());
                targets.push(tensors.targets.clone());
            }
        }
    }
    if !logits.is_empty() {
        let predicted = on_one_device(logits).argmax(1).flatten::<1>(0, 1);
        let equal = predicted.equal(on_one_device(targets)).int().sum();
        sum += equal.try_into_scalar::<u32>()? as usize;
    }
    Ok(sum)
}

/// The results of both metrics of a split, once it has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Totals {
    /// The mean loss of an image.
    pub(super) loss: Option<f64>,
    /// How many images were classified correctly, and how many there were.
    pub(super) correct: Option<(usize, usize)>,
}

/// The [`Totals`] of a split, shared by its metrics and the recorder. Burn would pass on only the means.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedTotals(Arc<Mutex<Totals>>);

impl SharedTotals {
    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the totals of the split that has ended.
    pub(super) fn take(&self) -> Totals {
        std::mem::take(&mut self.lock())
    }
}

/// The mean of a metric over all images. Burn's `LossMetric` gives the last, smaller mini-batch the weight of a full
/// one.
#[derive(Clone)]
pub(super) struct MeanOverImages {
    metric: Metric,
    name: MetricName,
    state: NumericMetricState,
    /// Images so far, and how many of them were classified correctly.
    images: usize,
    correct: usize,
    /// Where the totals go at the end of the split.
    totals: SharedTotals,
    /// Outputs not read from the device yet.
    waiting: Vec<BatchOutput>,
    /// The text that the dashboard shows.
    shown: String,
}

impl MeanOverImages {
    pub(super) fn new(metric: Metric, totals: &SharedTotals) -> Self {
        Self {
            metric,
            name: Arc::new(metric.name().to_owned()),
            state: NumericMetricState::default(),
            images: 0,
            correct: 0,
            totals: totals.clone(),
            waiting: Vec::new(),
            shown: String::new(),
        }
    }

    fn format(&self) -> FormatOptions {
        let options = FormatOptions::new(self.name());
        match self.metric.unit() {
            Some(unit) => options.unit(unit).precision(2),
            None => options.precision(4),
        }
    }

    /// Reads the waiting outputs: those on a device together, those that are known one by one, so that no digit of a sum depends
    /// on how many came at once.
    fn read(&mut self) -> Result<(), TensorReadError> {
        let waiting = std::mem::take(&mut self.waiting);
        let together = if waiting.iter().all(is_known) { 1 } else { waiting.len() };
        for outputs in waiting.chunks(together.max(1)) {
            let images = outputs.iter().map(|output| output.images).sum();
            let sum = match self.metric {
                Metric::Loss => loss_sum(outputs)?,
                Metric::Accuracy => {
                    let correct = correct(outputs)?;
                    self.correct += correct;
                    correct as f64 * 100.0
                }
            };
            self.images += images;
            self.state.update(sum / images as f64, images);
        }
        Ok(())
    }
}

fn is_known(output: &BatchOutput) -> bool {
    matches!(output.metrics, BatchMetrics::Known { .. })
}

impl BurnMetric for MeanOverImages {
    type Input = BatchOutputs;

    fn update(
        &mut self,
        outputs: &BatchOutputs,
        metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        self.waiting.extend_from_slice(&outputs.0);
        let known = self.waiting.iter().all(is_known);
        if !known && self.waiting.len() < READ_EVERY && !metadata.progress.is_completed() {
            // The dashboard keeps the last text, and nothing is logged.
            return Ok(SerializedEntry::new(self.shown.clone(), String::new()));
        }
        self.read()?;
        let entry = self.state.compute_update(self.format());
        self.shown.clone_from(&entry.formatted);
        Ok(entry)
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        self.read()?;
        let mut totals = self.totals.lock();
        match self.metric {
            Metric::Loss => totals.loss = Some(self.state.final_value().current()),
            Metric::Accuracy => totals.correct = Some((self.correct, self.images)),
        }
        drop(totals);
        Ok(self.state.compute_final(self.format()))
    }

    fn clear(&mut self) {
        // The totals stay: Burn clears a metric before it tells the recorder that the split has ended.
        self.state.reset();
        (self.images, self.correct) = (0, 0);
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
            // The label is always 2; the prediction is 2 where it is correct, else 7.
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
            let totals = [SharedTotals::default(), SharedTotals::default()];
            let mut metrics = totals.each_ref().map(|totals| MeanOverImages::new(metric, totals));
            let mut logged = [0, 0];
            // Twice, as in two epochs.
            for _ in 0..2 {
                for (index, outputs) in outputs().iter().enumerate() {
                    let progress = Progress::new((4 * (index + 1)).min(279), 279, None);
                    let metadata = MetricMetadata { progress, iteration: Some(index), lr: None };
                    for ((metric, output), logged) in metrics.iter_mut().zip(outputs).zip(&mut logged) {
                        let entry = metric.update(&BatchOutputs(vec![output.clone()]), &metadata).unwrap();
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
                let totals = totals.each_ref().map(SharedTotals::take);
                assert_eq!(totals[0].correct, totals[1].correct);
                match metric {
                    Metric::Loss => assert_eq!(totals.map(|totals| totals.loss), ends.map(Some)),
                    Metric::Accuracy => assert_eq!(totals[0].correct, Some((137, 279))),
                }
            }
            // 32, 64 and 70 mini-batches.
            assert_eq!(logged, [140, 6]);
        }
    }
}
