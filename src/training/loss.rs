//! The training and validation step of the net, and the metric of its loss.

use std::sync::Arc;

use burn::{
    nn::loss::CrossEntropyLossConfig,
    tensor::{Tensor, TensorReadError},
    train::{
        ClassificationOutput, InferenceStep, TrainOutput, TrainStep,
        metric::{
            Adaptor, Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
            SerializedEntry,
            state::{FormatOptions, NumericMetricState},
        },
    },
};

use crate::{config::Reduction, data::Batch, model::LeNet5};

impl LeNet5 {
    /// Logits and the mean cross-entropy of a mini-batch.
    fn classify(&self, batch: Batch) -> ClassificationOutput {
        let logits = self.forward(batch.images);
        #[expect(clippy::cast_possible_truncation, reason = "a share between 0 and 1")]
        let smoothing = (self.loss.label_smoothing > 0.0).then_some(self.loss.label_smoothing as f32);
        let loss = CrossEntropyLossConfig::new()
            .with_smoothing(smoothing)
            .init(&logits.device())
            .forward(logits.clone(), batch.targets.clone());
        ClassificationOutput::new(loss, logits, batch.targets)
    }
}

impl TrainStep for LeNet5 {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let [size] = batch.targets.dims();
        let output = self.classify(batch);
        let gradients = match self.loss.reduction {
            Reduction::Mean => output.loss.backward(),
            Reduction::Sum => output.loss.clone().mul_scalar(size as f64).backward(),
        };
        TrainOutput::new(self, gradients, output)
    }
}

impl InferenceStep for LeNet5 {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.classify(batch)
    }
}

/// The name under which the learner logs the loss.
pub(super) const LOSS: &str = "Loss";
/// The name under which Burn's `AccuracyMetric` logs.
pub(super) const ACCURACY: &str = "Accuracy";

/// The mean loss of a picture. Burn's own metric weights every batch alike, the last and smaller one too.
#[derive(Clone)]
pub(super) struct MeanLoss {
    name: MetricName,
    state: NumericMetricState,
}

impl MeanLoss {
    pub(super) fn new() -> Self {
        Self { name: Arc::new(LOSS.into()), state: NumericMetricState::default() }
    }

    fn format(&self) -> FormatOptions {
        FormatOptions::new(self.name()).precision(4)
    }
}

/// What [`MeanLoss`] needs of a step.
pub(super) struct BatchLoss {
    mean: Tensor<1>,
    pictures: usize,
}

impl Adaptor<BatchLoss> for ClassificationOutput {
    fn adapt(&self) -> BatchLoss {
        BatchLoss { mean: self.loss.clone(), pictures: self.targets.dims()[0] }
    }
}

impl Metric for MeanLoss {
    type Input = BatchLoss;

    fn update(&mut self, loss: &BatchLoss, _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        self.state.update(loss.mean.clone().try_into_scalar()?, loss.pictures);
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.state.compute_final(self.format()))
    }

    fn clear(&mut self) {
        self.state.reset();
    }

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: None, higher_is_better: false }.into()
    }
}

impl Numeric for MeanLoss {
    fn value(&self) -> Option<NumericEntry> {
        Some(self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        Some(self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}
