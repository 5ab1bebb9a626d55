//! The training and validation step of the net, and what each comes to.

use burn::{
    backend::ExecutionError,
    nn::loss::CrossEntropyLossConfig,
    tensor::{Int, Tensor},
    train::{InferenceStep, ItemLazy, TrainOutput, TrainStep, metric::Adaptor},
};

use crate::{
    config::{Operators, Reduction},
    data::Batch,
    evaluation::{largest, rows},
    model::LeNet5,
    ops::{cross_entropy, on_host},
};

/// What a mini-batch came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How many pictures.
    pub pictures: usize,
    /// Loss and hits.
    pub figures: Figures,
}

/// The figures of a mini-batch.
#[derive(Debug, Clone)]
pub enum Figures {
    /// Numbers, where tensors lie in this process's memory.
    Known {
        /// The mean loss of a picture.
        loss: f64,
        /// How many were read rightly.
        hits: usize,
    },
    /// Tensors of a device: reading them keeps it from going on.
    OnDevice(Box<OnDevice>),
}

/// What loss and hits are made of.
#[derive(Debug, Clone)]
pub struct OnDevice {
    /// `[1]`, the mean loss of a picture.
    pub loss: Tensor<1>,
    /// `[batch, 10]`
    pub logits: Tensor<2>,
    /// `[batch]`
    pub targets: Tensor<1, Int>,
}

impl ItemLazy for Outcome {
    fn sync(self) -> Result<Self, ExecutionError> {
        let figures = match self.figures {
            Figures::OnDevice(tensors) => {
                let OnDevice { loss, logits, targets } = *tensors;
                loss.device().flush()?;
                // Off the tape, which would be kept as long as they are.
                let (loss, logits) = (loss.without_autodiff(), logits.without_autodiff());
                Figures::OnDevice(Box::new(OnDevice { loss, logits, targets: targets.without_autodiff() }))
            }
            known @ Figures::Known { .. } => known,
        };
        Ok(Self { figures, ..self })
    }
}

impl Adaptor<Self> for Outcome {
    fn adapt(&self) -> Self {
        self.clone()
    }
}

impl LeNet5 {
    /// The mean cross-entropy of a mini-batch, and what else it came to.
    fn classify(&self, batch: Batch) -> (Tensor<1>, Outcome) {
        let Batch { images, targets } = batch;
        let logits = self.forward(images);
        #[expect(clippy::cast_possible_truncation, reason = "a share between 0 and 1")]
        let smoothing = self.loss.label_smoothing as f32;
        let composed = || {
            CrossEntropyLossConfig::new()
                .with_smoothing((smoothing > 0.0).then_some(smoothing))
                .init(&logits.device())
                .forward(logits.clone(), targets.clone())
        };
        let pictures = targets.dims()[0];
        let labels = if on_host(&logits.device()) { labels(&targets) } else { None };
        let loss = match (&labels, self.operators) {
            (Some(labels), Operators::Fused) => cross_entropy::mean(&logits, labels, smoothing),
            _ => None,
        };
        let loss = loss.unwrap_or_else(composed);
        let known = labels.and_then(|labels| known(&loss, &logits, &labels));
        let figures =
            known.unwrap_or_else(|| Figures::OnDevice(Box::new(OnDevice { loss: loss.clone(), logits, targets })));
        (loss, Outcome { pictures, figures })
    }
}

fn labels(targets: &Tensor<1, Int>) -> Option<Vec<usize>> {
    Some(targets.clone().try_into_data().ok()?.iter::<u32>().map(|label| label as usize).collect())
}

/// The figures at once; none where the tensors cannot be read, which the metrics will then say.
fn known(loss: &Tensor<1>, logits: &Tensor<2>, labels: &[usize]) -> Option<Figures> {
    let loss = loss.clone().try_into_scalar().ok()?;
    let rows = rows(logits.clone()).ok()?;
    let hits = rows.iter().zip(labels).filter(|(row, label)| largest(row) == **label).count();
    Some(Figures::Known { loss, hits })
}

impl TrainStep for LeNet5 {
    type Input = Batch;
    type Output = Outcome;

    fn step(&self, batch: Batch) -> TrainOutput<Outcome> {
        let (loss, outcome) = self.classify(batch);
        let gradients = match self.loss.reduction {
            Reduction::Mean => loss.backward(),
            Reduction::Sum => loss.mul_scalar(outcome.pictures as f64).backward(),
        };
        TrainOutput::new(self, gradients, outcome)
    }
}

impl InferenceStep for LeNet5 {
    type Input = Batch;
    type Output = Outcome;

    fn step(&self, batch: Batch) -> Outcome {
        self.classify(batch).1
    }
}
