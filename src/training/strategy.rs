//! The epochs of the learner on the CPU.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use burn::{
    data::dataloader::{DataLoader, DataLoaderIterator},
    module::Module,
    tensor::Device,
    train::{
        EventProcessorTraining, InferenceStep, Interrupter, Learner, LearnerEvent, SupervisedLearningStrategy,
        SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents, TrainingItem, ValidLoader,
    },
};

use super::step::BatchOutputs;
use crate::{data::Batch, model::LeNet5};

/// How often the learner's metrics, logs and display hear of mini-batches. They run on threads of their own, which would compete
/// with the steps for the cores thousands of times a second.
const TELL_EVERY: Duration = Duration::from_millis(20);

/// Trains on one device as Burn's own strategy does, but the events of mini-batches are passed on in groups.
pub(super) struct OnHost {
    /// With autodiff.
    pub(super) device: Device,
}

type Processor = SupervisedTrainingEventProcessor<LeNet5>;

impl SupervisedLearningStrategy<LeNet5> for OnHost {
    fn fit(
        &self,
        components: TrainingComponents<LeNet5>,
        mut learner: Learner<LeNet5>,
        train: TrainLoader<LeNet5>,
        valid: ValidLoader<LeNet5>,
        first: usize,
    ) -> (LeNet5, Processor) {
        let TrainingComponents {
            num_epochs,
            mut checkpointer,
            interrupter,
            mut early_stopping,
            event_processor: mut processor,
            event_store,
            ..
        } = components;
        learner.fork(&self.device);
        for epoch in first..=num_epochs {
            let start = |total_items| LearnerEvent::StartSplit { epoch_number: epoch, total_items };
            interrupter.fail_on_error(processor.process_train(start(train.num_items())));
            train_epoch(&mut learner, &train, &mut processor, &interrupter);
            interrupter.fail_on_error(processor.process_train(LearnerEvent::EndSplit(epoch)));
            if interrupter.should_stop() {
                break;
            }
            interrupter.fail_on_error(processor.process_valid(start(valid.num_items())));
            validate(&learner.model().valid(), &valid, &mut processor, &interrupter);
            interrupter.fail_on_error(processor.process_valid(LearnerEvent::EndSplit(epoch)));
            interrupter.fail_on_error(processor.process_train(LearnerEvent::EndEpoch(epoch)));
            // The checkpoint and early stopping look at the report, which the events write.
            interrupter.fail_on_error(processor.flush());
            if interrupter.should_stop() {
                break;
            }
            if let Some(checkpointer) = &mut checkpointer {
                checkpointer.checkpoint(&learner, epoch, &event_store);
            }
            if early_stopping.as_mut().is_some_and(|early_stopping| early_stopping.should_stop(epoch, &event_store)) {
                break;
            }
        }
        (learner.model(), processor)
    }
}

fn train_epoch(
    learner: &mut Learner<LeNet5>,
    loader: &TrainLoader<LeNet5>,
    processor: &mut Processor,
    interrupter: &Interrupter,
) {
    let mut pass = Pass::of(loader);
    while let Some(item) = pass.group(interrupter, |batch| {
        let output = learner.train_step(batch);
        learner.lr_step();
        learner.optimizer_step(output.grads);
        output.item
    }) {
        let item = TrainingItem { lr: Some(learner.lr_current()), ..item };
        interrupter.fail_on_error(processor.process_train(LearnerEvent::ProcessedItem(item)));
    }
}

fn validate(net: &LeNet5, loader: &ValidLoader<LeNet5>, processor: &mut Processor, interrupter: &Interrupter) {
    let mut pass = Pass::of(loader);
    while let Some(item) = pass.group(interrupter, |batch| InferenceStep::step(net, batch)) {
        interrupter.fail_on_error(processor.process_valid(LearnerEvent::ProcessedItem(item)));
    }
}

/// A pass over a split, whose mini-batches are told of in groups.
struct Pass<'a> {
    batches: Box<dyn DataLoaderIterator<Batch> + 'a>,
    iterations: usize,
    stopped: bool,
}

impl<'a> Pass<'a> {
    fn of(loader: &'a Arc<dyn DataLoader<Batch>>) -> Self {
        Self { batches: loader.iter(), iterations: 0, stopped: false }
    }

    /// Takes a step with each of the next mini-batches, until it is time to tell of them; `None` at the end, or after a stop.
    fn group(
        &mut self,
        interrupter: &Interrupter,
        mut step: impl FnMut(Batch) -> BatchOutputs,
    ) -> Option<TrainingItem<BatchOutputs>> {
        let (began, mut outputs) = (Instant::now(), BatchOutputs::default());
        while !self.stopped
            && let Some(batch) = self.batches.next()
        {
            let batch = batch.map_err(|error| interrupter.fail(error)).ok()?;
            outputs.0.extend(step(batch).0);
            self.iterations += 1;
            self.stopped = interrupter.should_stop();
            let progress = self.batches.progress();
            if self.stopped || progress.is_completed() || began.elapsed() >= TELL_EVERY {
                return Some(TrainingItem::new(outputs, progress, Some(self.iterations), None));
            }
        }
        None
    }
}
