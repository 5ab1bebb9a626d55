//! The epochs of the learner on the CPU.

use std::time::{Duration, Instant};

use burn::{
    data::dataloader::Progress,
    module::Module,
    tensor::Device,
    train::{
        EventProcessorTraining, InferenceStep, Interrupter, Learner, LearnerEvent, SupervisedLearningStrategy,
        SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents, TrainingItem, ValidLoader,
    },
};

use super::step::BatchOutputs;
use crate::model::LeNet5;

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
            let start = |total_items| LearnerEvent::StartSplit { epoch_number: epoch, total_items };
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
    let mut batches = loader.iter();
    let mut group = Group::default();
    while let Some(batch) = batches.next() {
        let Ok(batch) = batch.map_err(|error| interrupter.fail(error)) else { break };
        let output = learner.train_step(batch);
        learner.lr_step();
        learner.optimizer_step(output.grads);
        group.add(output.item);
        let stop = interrupter.should_stop();
        let progress = batches.progress();
        if stop || group.is_due(&progress) {
            let (outputs, iteration) = group.take();
            let item = TrainingItem::new(outputs, progress, Some(iteration), Some(learner.lr_current()));
            interrupter.fail_on_error(processor.process_train(LearnerEvent::ProcessedItem(item)));
        }
        if stop {
            break;
        }
    }
}

fn validate(net: &LeNet5, loader: &ValidLoader<LeNet5>, processor: &mut Processor, interrupter: &Interrupter) {
    let mut batches = loader.iter();
    let mut group = Group::default();
    while let Some(batch) = batches.next() {
        let Ok(batch) = batch.map_err(|error| interrupter.fail(error)) else { break };
        group.add(InferenceStep::step(net, batch));
        let stop = interrupter.should_stop();
        let progress = batches.progress();
        if stop || group.is_due(&progress) {
            let (outputs, iteration) = group.take();
            let item = TrainingItem::new(outputs, progress, Some(iteration), None);
            interrupter.fail_on_error(processor.process_valid(LearnerEvent::ProcessedItem(item)));
        }
        if stop {
            break;
        }
    }
}

/// The outputs of mini-batches that nobody has been told of yet.
struct Group {
    outputs: BatchOutputs,
    told: Instant,
    iterations: usize,
}

impl Default for Group {
    fn default() -> Self {
        Self { outputs: BatchOutputs::default(), told: Instant::now(), iterations: 0 }
    }
}

impl Group {
    fn add(&mut self, outputs: BatchOutputs) {
        self.outputs.0.extend(outputs.0);
        self.iterations += 1;
    }

    fn is_due(&self, progress: &Progress) -> bool {
        progress.is_completed() || self.told.elapsed() >= TELL_EVERY
    }

    /// The outputs, and how many mini-batches there were so far in the epoch.
    fn take(&mut self) -> (BatchOutputs, usize) {
        self.told = Instant::now();
        (std::mem::take(&mut self.outputs), self.iterations)
    }
}
