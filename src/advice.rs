//! What to try when a net has learned nothing.

use crate::{
    config::Config,
    evaluation::Evaluation,
    report::{Report, percent},
};

/// Up to this far from the best blind answer, 0, to no misses at all, 1, counts as learned nothing.
const NEARLY_NOTHING: f64 = 0.05;
/// From this fraction on, 0 to 1, dead units are to blame.
const MANY_DEAD: f64 = 0.9;

/// What to try if a run's net does little better on the test set than always answering the most frequent class; `None` if
/// it does, or was not tested.
#[must_use]
pub fn advice(config: &Config, report: &Report) -> Option<String> {
    let test = report.test.as_ref()?;
    let blind = most_frequent(test);
    if blind >= 1.0 || (test.accuracy - blind) / (1.0 - blind) > NEARLY_NOTHING {
        return None;
    }
    let loss = report.epochs.last()?.train.loss;
    let dead = report.dead_units.is_some_and(|dead| dead.dense() >= MANY_DEAD);
    // The loss of equal probabilities for all classes, in nats: a net that learns is soon below it.
    let even = (test.confusion.len() as f64).ln();
    let rate = config.optimizer.learning_rate;
    let (lower, higher) = (short(rate / 10.0), short(rate * 10.0));
    let what = if dead {
        format!(
            "Nearly all its units are dead, which is the mark of too high a learning rate: lower optimizer.learning_rate \
             to {lower}, or set schedule.warmup=0.1 or optimizer.clip_norm=1"
        )
    } else if loss < even {
        format!(
            "Its loss falls, but slowly: raise optimizer.learning_rate to {higher}, or train longer with training.epochs"
        )
    } else {
        format!(
            "Its training loss, {loss:.4}, is not even below that of equal probabilities, {even:.4}: try \
             optimizer.learning_rate={lower}, and if that does not help, {higher}"
        )
    };
    let blind = percent(blind);
    Some(format!(
        "the net has learned next to nothing: always giving the most frequent answer would be right for {blind} of the test \
         images. {what}"
    ))
}

/// The fraction of the images that have the most frequent label, 0 to 1.
fn most_frequent(test: &Evaluation) -> f64 {
    let most = test.confusion.iter().map(|row| row.iter().sum::<usize>()).max().unwrap_or(0);
    most as f64 / test.images.max(1) as f64
}

/// A number without the digits that rounding leaves.
fn short(value: f64) -> String {
    format!("{value:.2e}").parse::<f64>().map_or_else(|_| value.to_string(), |rounded| rounded.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::digits,
        evaluation::DeadUnits,
        report::{EpochReport, SplitMetrics},
    };

    /// A report with these training losses, whose net answers `correct` of 100 images, ten of each class, correctly.
    fn report(losses: &[f64], correct: usize, dead: f64) -> Report {
        let mut report = Report::new(&Config::default(), 100, 0);
        for (i, loss) in losses.iter().enumerate() {
            report.push(EpochReport {
                epoch: i + 1,
                train: SplitMetrics { loss: *loss, accuracy: 0.1 },
                valid: None,
                learning_rate: 0.05,
                seconds: 1.0,
                images_per_second: 100.0,
            });
        }
        let ten_of_each = Evaluation::of(vec![vec![1; 10]; 10], &digits());
        report.test = Some(Evaluation { accuracy: correct as f64 / 100.0, ..ten_of_each });
        report.dead_units = Some(DeadUnits { c1: 0.0, c3: 0.0, c5: dead, f6: dead });
        report
    }

    #[test]
    fn only_a_net_that_learned_nothing_gets_advice_and_it_fits() {
        let config = Config::default();
        assert_eq!(advice(&config, &report(&[2.2, 1.0], 60, 0.0)), None);
        assert_eq!(advice(&config, &report(&[2.2], 15, 0.0)), None);
        let said = |losses: &[f64], dead| advice(&config, &report(losses, 10, dead)).unwrap();
        assert!(said(&[50.0, 2.3], 1.0).contains("lower optimizer.learning_rate to 0.005,"));
        assert!(said(&[2.303, 2.301], 0.0).contains("raise optimizer.learning_rate to 0.5,"));
        assert!(said(&[20.0, 5.0], 0.0).contains("try optimizer.learning_rate=0.005, and if that does not help, 0.5"));
    }
}
