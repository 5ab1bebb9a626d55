//! The learning rate, for the learner.

use burn::{
    lr_scheduler::{LrScheduler, LrSchedulerRecord},
    optim::LearningRate,
};

use crate::config::Schedule;

/// A [`Schedule`] as Burn's [`LrScheduler`], which makes a step before every mini-batch.
#[derive(Clone)]
pub(super) struct Scheduler {
    schedule: Schedule,
    /// The number of steps so far.
    step: usize,
}

impl Scheduler {
    pub(super) fn new(schedule: Schedule) -> Self {
        Self { schedule, step: 0 }
    }
}

impl LrScheduler for Scheduler {
    fn step(&mut self) -> LearningRate {
        self.step += 1;
        self.schedule.rate(self.step - 1)
    }

    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::new().with_scalar("step", self.step as u64)
    }

    fn load_record(&mut self, record: LrSchedulerRecord) {
        if let Some(step) = record.scalar::<u64>("step").and_then(|step| usize::try_from(step).ok()) {
            self.step = step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ScheduleKind};

    #[test]
    fn the_first_step_is_step_0() {
        let mut config = Config::default();
        config.schedule.kind = ScheduleKind::OneCycle;
        let schedule = Schedule::new(&config, 1000);
        let mut scheduler = Scheduler::new(schedule.clone());
        for step in 0..3 {
            assert_eq!(scheduler.step().to_bits(), schedule.rate(step).to_bits());
        }
    }

    #[test]
    fn a_loaded_record_continues_where_the_other_stopped() {
        let mut config = Config::default();
        config.schedule.kind = ScheduleKind::Cosine;
        let mut schedule = Scheduler::new(Schedule::new(&config, 1000));
        for _ in 0..7 {
            schedule.step();
        }
        let mut resumed = Scheduler::new(Schedule::new(&config, 1000));
        resumed.load_record(schedule.to_record());
        assert_eq!(resumed.step().to_bits(), schedule.step().to_bits());
    }
}
