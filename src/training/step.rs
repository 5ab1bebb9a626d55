//! The training and the validation step of the net, and what they return.

use burn::{
    backend::ExecutionError,
    nn::loss::CrossEntropyLossConfig,
    tensor::{Int, Tensor},
    train::{InferenceStep, ItemLazy, TrainOutput, TrainStep, metric::Adaptor},
};

use crate::{
    backend::is_host,
    config::{Operators, Reduction},
    data::{Batch, NO_CLASS},
    model::{LeNet5, argmax, rows},
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
    /// The mean cross-entropy of a mini-batch, and its metrics.
    fn classify(&self, batch: Batch) -> (Tensor<1>, BatchOutput) {
        let Batch { images, targets } = batch;
        #[expect(clippy::cast_possible_truncation, reason = "a fraction between 0 and 1")]
        let smoothing = self.loss.label_smoothing as f32;
        let labels = if is_host(&images.device()) { labels(&targets) } else { None };
        let fused = match (&labels, self.operators) {
            (Some(labels), Operators::Fused) => self.fused_loss(&images, labels, smoothing),
            _ => None,
        };
        let (loss, logits) = fused.unwrap_or_else(|| {
            let logits = self.forward(images);
            let loss = CrossEntropyLossConfig::new().with_smoothing((smoothing > 0.0).then_some(smoothing));
            (loss.init(&logits.device()).forward(logits.clone(), targets.clone()), logits)
        });
        // Where they cannot be read here, all images belong to a class: only the CPU trains with others.
        let images = labels.as_ref().map_or_else(|| targets.dims()[0], |labels| labels.iter().flatten().count());
        let known = labels.and_then(|labels| known(&loss, &logits, &labels));
        let metrics =
            known.unwrap_or_else(|| BatchMetrics::OnDevice(Box::new(OnDevice { loss: loss.clone(), logits, targets })));
        (loss, BatchOutput { images, metrics })
    }
}

/// The labels; `None` for those of no class.
fn labels(targets: &Tensor<1, Int>) -> Option<Vec<Option<usize>>> {
    let labels = targets.clone().try_into_data().ok()?;
    Some(labels.iter::<i32>().map(|label| if label == NO_CLASS { None } else { usize::try_from(label).ok() }).collect())
}

/// The metrics as numbers; `None` if the tensors cannot be read, which the learner's metrics then report.
fn known(loss: &Tensor<1>, logits: &Tensor<2>, labels: &[Option<usize>]) -> Option<BatchMetrics> {
    let loss = loss.clone().try_into_scalar().ok()?;
    let rows = rows(logits.clone()).ok()?;
    let correct = rows.iter().zip(labels).filter(|(row, label)| Some(argmax(row)) == **label).count();
    Some(BatchMetrics::Known { loss, correct })
}

impl TrainStep for LeNet5 {
    type Input = Batch;
    type Output = BatchOutputs;

    fn step(&self, batch: Batch) -> TrainOutput<BatchOutputs> {
        let count = batch.targets.dims()[0];
        let (loss, output) = self.classify(batch);
        let gradients = match self.loss.reduction {
            Reduction::Mean => loss.backward(),
            Reduction::Sum => loss.mul_scalar(count as f64).backward(),
        };
        TrainOutput::new(self, gradients, BatchOutputs(vec![output]))
    }
}

impl InferenceStep for LeNet5 {
    type Input = Batch;
    type Output = BatchOutputs;

    fn step(&self, batch: Batch) -> BatchOutputs {
        BatchOutputs(vec![self.classify(batch).1])
    }
}
