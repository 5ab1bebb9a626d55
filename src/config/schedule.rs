//! The learning rate as a function of the step.

use super::{Config, ScheduleConfig, ScheduleKind};

/// The learning rate over a whole run, as `[schedule]` says.
#[derive(Debug, Clone)]
pub struct Schedule {
    shape: ScheduleConfig,
    peak: f64,
    steps_per_epoch: usize,
    total: usize,
}

impl Schedule {
    /// The schedule of a run with `images` training images.
    #[must_use]
    pub fn new(config: &Config, images: usize) -> Self {
        let steps_per_epoch = images.div_ceil(config.training.batch_size.max(1)).max(1);
        let total = steps_per_epoch * config.training.epochs;
        Self { shape: config.schedule.clone(), peak: config.optimizer.learning_rate, steps_per_epoch, total }
    }

    /// The learning rate of a step; the first one is step 0.
    #[must_use]
    pub fn rate(&self, step: usize) -> f64 {
        let warmup = (self.shape.warmup * self.total as f64).round();
        let done = step as f64;
        if done < warmup {
            return self.peak * (done + 1.0) / warmup;
        }
        let progress = ((done - warmup) / (self.total as f64 - warmup).max(1.0)).min(1.0);
        let fallen = match self.shape.kind {
            ScheduleKind::Constant => 0.0,
            ScheduleKind::Cosine => 0.5 - 0.5 * (std::f64::consts::PI * progress).cos(),
            ScheduleKind::OneCycle => progress,
            ScheduleKind::Step => {
                let drops = step / (self.steps_per_epoch * self.shape.step_epochs.max(1));
                return self.peak * self.shape.step_factor.powf(drops as f64);
            }
        };
        self.peak * (1.0 - (1.0 - self.shape.end) * fallen)
    }

    /// The learning rate of the last step before `epochs`, which need not be whole, are over.
    #[must_use]
    pub fn rate_after(&self, epochs: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of steps")]
        let steps = (self.steps_per_epoch as f64 * epochs).round() as usize;
        self.rate(steps.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten steps: two epochs of five.
    fn rates(kind: ScheduleKind, warmup: f64, end: f64) -> Vec<f64> {
        let mut config = Config::default();
        config.training.epochs = 2;
        config.training.batch_size = 10;
        config.optimizer.learning_rate = 1.0;
        config.schedule = ScheduleConfig { kind, warmup, end, step_epochs: 1, step_factor: 0.1 };
        let schedule = Schedule::new(&config, 41);
        (0..10).map(|step| (schedule.rate(step) * 1000.0).round() / 1000.0).collect()
    }

    #[test]
    fn every_kind_has_its_shape() {
        assert_eq!(rates(ScheduleKind::Constant, 0.2, 0.0), [0.5, 1., 1., 1., 1., 1., 1., 1., 1., 1.]);
        assert_eq!(rates(ScheduleKind::OneCycle, 0.2, 0.2), [0.5, 1., 1., 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]);
        assert_eq!(rates(ScheduleKind::Step, 0.0, 0.0), [1., 1., 1., 1., 1., 0.1, 0.1, 0.1, 0.1, 0.1]);
        let cosine = rates(ScheduleKind::Cosine, 0.0, 0.0);
        assert_eq!((cosine[0], cosine[5], cosine[9]), (1.0, 0.5, 0.024));
    }
}
