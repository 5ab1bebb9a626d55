//! The training and the validation step of the net, and what they return.

use std::sync::Arc;

use burn::{
    backend::ExecutionError,
    module::Module,
    nn::loss::CrossEntropyLossConfig,
    optim::GradientsParams,
    tensor::{Int, Tensor, activation::log_softmax},
    train::{InferenceStep, ItemLazy, TrainOutput, TrainStep, metric::Adaptor},
};

use lenet_kernels::cross_entropy::mean_with_grad;

use crate::{
    backend::is_host,
    config::{Operators, Reduction},
    data::{Batch, NO_CLASS},
    fused::Targets,
    model::{FusedStep, LeNet5, argmax, rows},
};

/// What the steps on some mini-batches return, in their order: the learner's metrics take those of several at once.
#[derive(Debug, Clone, Default)]
pub struct BatchOutputs(pub Vec<BatchOutput>);

/// What a step on a mini-batch returns.
#[derive(Debug, Clone)]
pub struct BatchOutput {
    /// Images in the mini-batch that belong to a class.
    pub images: usize,
    /// Its loss and how many images are classified correctly.
    pub metrics: BatchMetrics,
}

/// The loss and the number of correct predictions of a mini-batch.
#[derive(Debug, Clone)]
pub enum BatchMetrics {
    /// Numbers, if the tensors lie in this process's memory.
    Known {
        /// The mean loss of an image.
        loss: f64,
        /// How many images were classified correctly.
        correct: usize,
    },
    /// Tensors on a device, not read yet: reading would make the device wait.
    OnDevice(Box<OnDevice>),
}

/// The tensors that loss and correct predictions are computed from.
#[derive(Debug, Clone)]
pub struct OnDevice {
    /// `[1]`, the mean loss of an image.
    pub loss: Tensor<1>,
    /// `[batch, classes]`
    pub logits: Tensor<2>,
    /// `[batch]`
    pub targets: Tensor<1, Int>,
}

impl ItemLazy for BatchOutputs {
    fn sync(self) -> Result<Self, ExecutionError> {
        self.0.into_iter().map(BatchOutput::sync).collect::<Result<_, _>>().map(Self)
    }
}

impl BatchOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        let metrics = match self.metrics {
            BatchMetrics::OnDevice(tensors) => {
                let OnDevice { loss, logits, targets } = *tensors;
                loss.device().flush()?;
                // Detached: the autodiff graph would live as long as these tensors.
                let (loss, logits) = (loss.without_autodiff(), logits.without_autodiff());
                BatchMetrics::OnDevice(Box::new(OnDevice { loss, logits, targets: targets.without_autodiff() }))
            }
            known @ BatchMetrics::Known { .. } => known,
        };
        Ok(Self { metrics, ..self })
    }
}

impl Adaptor<Self> for BatchOutputs {
    fn adapt(&self) -> Self {
        self.clone()
    }
}

impl LeNet5 {
    #[expect(clippy::cast_possible_truncation, reason = "a fraction between 0 and 1")]
    fn smoothing(&self) -> f32 {
        self.loss.label_smoothing as f32
    }

    /// The labels, where the fused operators are used.
    fn labels_if_fused(&self, batch: &Batch) -> Option<Vec<Option<usize>>> {
        let is_fused = self.operators == Operators::Fused && is_host(&batch.targets.device());
        if is_fused { labels(&batch.targets) } else { None }
    }

    /// The gradients of a mini-batch and its metrics by the fused operator, if it applies.
    #[expect(clippy::cast_possible_truncation, reason = "a fraction between 0 and 1")]
    fn fused(&self, batch: &Batch) -> Option<(GradientsParams, BatchOutput)> {
        let labels = self.labels_if_fused(batch)?;
        let share = match self.loss.reduction {
            // The gradients of devices that share a mini-batch are added up.
            Reduction::Mean => batch.share as f32 / labels.len() as f32,
            Reduction::Sum => 1.0,
        };
        let targets = Targets::new(&labels, self.classes(), self.smoothing())?.weighted(&labels, &self.class_weights);
        let FusedStep { mean, logits, gradients } = self.fused_step(Arc::new(batch.images.clone()), targets, share)?;
        let rows = logits.chunks_exact(logits.len() / labels.len());
        Some((gradients, BatchOutput::known(mean.into(), rows, &labels)))
    }

    /// The metrics of a mini-batch by the fused operator, if it applies.
    fn fused_metrics(&self, batch: &Batch) -> Option<BatchOutput> {
        let labels = self.labels_if_fused(batch)?;
        let targets = Targets::new(&labels, self.classes(), self.smoothing())?;
        let rows = self.logits(&batch.images, &batch.targets.device()).ok()?;
        let (mean, _) = mean_with_grad(rows.values(), &targets.distributions, self.classes());
        Some(BatchOutput::known(mean.into(), rows.iter(), &labels))
    }

    /// The mean cross-entropy of a mini-batch, in which each class counts by its weight, and its metrics, by Burn's operators.
    fn classify(&self, batch: Batch, class_weights: &[f32]) -> (Tensor<1>, BatchOutput) {
        let Batch { images, targets, .. } = batch;
        let logits = self.forward(images.tensor(&targets.device()));
        let loss = composed(&logits, &targets, self.smoothing(), class_weights);
        let labels = if is_host(&logits.device()) { labels(&targets) } else { None };
        let known = labels.and_then(|labels| {
            let (mean, rows) = (loss.clone().try_into_scalar().ok()?, rows(logits.clone()).ok()?);
            Some(BatchOutput::known(mean, rows.iter(), &labels))
        });
        let output = known.unwrap_or_else(|| {
            // Where they cannot be read here, all images belong to a class: only the CPU trains with others.
            let images = targets.dims()[0];
            let on_device = OnDevice { loss: loss.clone(), logits, targets };
            BatchOutput { images, metrics: BatchMetrics::OnDevice(Box::new(on_device)) }
        });
        (loss, output)
    }
}

impl BatchOutput {
    /// The metrics as numbers, from the mean loss and each image's logits and label.
    fn known<'a>(loss: f64, logits: impl Iterator<Item = &'a [f32]>, labels: &[Option<usize>]) -> Self {
        let correct = logits.zip(labels).filter(|(row, label)| Some(argmax(row)) == **label).count();
        Self { images: labels.iter().flatten().count(), metrics: BatchMetrics::Known { loss, correct } }
    }
}

/// The mean loss by Burn's own operators.
fn composed(logits: &Tensor<2>, targets: &Tensor<1, Int>, smoothing: f32, class_weights: &[f32]) -> Tensor<1> {
    if class_weights.is_empty() {
        let loss = CrossEntropyLossConfig::new().with_smoothing((smoothing > 0.0).then_some(smoothing));
        return loss.init(&logits.device()).forward(logits.clone(), targets.clone());
    }
    // Burn's weighted loss divides by the sum of the weights in the mini-batch, so that a mini-batch without small classes
    // would count as much as one with them.
    let weights = Tensor::<1>::from_data(class_weights, &logits.device()).select(0, targets.clone());
    let logs = log_softmax(logits.clone(), 1);
    let of_target = logs.clone().gather(1, targets.clone().unsqueeze_dim(1)).squeeze_dim(1);
    let of_all = logs.mean_dim(1).squeeze_dim(1);
    let losses: Tensor<1> = of_target.mul_scalar(1.0 - smoothing) + of_all.mul_scalar(smoothing);
    losses.mul(weights).mean().neg()
}

/// The labels; `None` for those of no class.
fn labels(targets: &Tensor<1, Int>) -> Option<Vec<Option<usize>>> {
    let labels = targets.clone().try_into_data().ok()?;
    Some(labels.iter::<i32>().map(|label| if label == NO_CLASS { None } else { usize::try_from(label).ok() }).collect())
}

impl TrainStep for LeNet5 {
    type Input = Batch;
    type Output = BatchOutputs;

    fn step(&self, batch: Batch) -> TrainOutput<BatchOutputs> {
        if let Some((grads, output)) = self.fused(&batch) {
            return TrainOutput { grads, item: BatchOutputs(vec![output]) };
        }
        let (count, share) = (batch.targets.dims()[0], batch.share);
        // Nets for the fused step are not on a tape.
        let tracked = (!self.c1.weight.is_require_grad()).then(|| self.clone().set_require_grad(true));
        let net = tracked.as_ref().unwrap_or(self);
        let (loss, output) = net.classify(batch, &self.class_weights);
        let gradients = match self.loss.reduction {
            // The gradients of devices that share a mini-batch are added up.
            Reduction::Mean if share < 1.0 => loss.mul_scalar(share).backward(),
            Reduction::Mean => loss.backward(),
            Reduction::Sum => loss.mul_scalar(count as f64).backward(),
        };
        TrainOutput::new(net, gradients, BatchOutputs(vec![output]))
    }
}

impl InferenceStep for LeNet5 {
    type Input = Batch;
    type Output = BatchOutputs;

    fn step(&self, batch: Batch) -> BatchOutputs {
        BatchOutputs(vec![self.fused_metrics(&batch).unwrap_or_else(|| self.classify(batch, &[]).1)])
    }
}
