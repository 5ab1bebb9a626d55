//! Softmax and cross-entropy, and the gradient of both: the difference of prediction and target.
//!
//! Source: the assignment's "Fully Connected Layer and SoftMax". It gives the loss as `-Σ yᵢ log yᵢ` with the softmax's output
//! twice, which is its entropy; cross-entropy has the target first, `-Σ ŷᵢ ln yᵢ`.

/// The mean loss of a mini-batch, and its derivative with respect to each logit. In the assignment's notation, with `y =
/// softmax(z)` and the target `ŷ`, a distribution,
/// `loss = -Σᵢ ŷᵢ ln yᵢ` and `∂loss/∂zᵢ = yᵢ - ŷᵢ`, each divided by the number of rows.
///
/// # Shapes
/// logits and targets `[batch * classes]` -> the mean loss in nats (NaN for an empty batch), gradient `[batch * classes]`
///
/// # Panics
/// There are more or fewer targets than logits, or no classes.
#[must_use]
pub fn mean_with_grad(logits: &[f32], targets: &[f32], classes: usize) -> (f32, Vec<f32>) {
    assert_eq!(logits.len(), targets.len(), "each row of logits needs a target");
    let rows = logits.len() / classes;
    let (mut losses, mut grads) = (vec![0.0; rows], vec![0.0; logits.len()]);
    let weights = vec![1.0; rows];
    rows_with_grad(logits, targets, &weights, 1.0 / rows as f32, &mut losses, &mut grads);
    (mean(&losses, &weights), grads)
}

/// The losses of some rows, and the derivative of `share` times their sum, each by its weight, with respect to their logits.
pub(crate) fn rows_with_grad(
    logits: &[f32],
    targets: &[f32],
    weights: &[f32],
    share: f32,
    losses: &mut [f32],
    grads: &mut [f32],
) {
    let classes = (logits.len() / losses.len().max(1)).max(1);
    let rows = logits.chunks_exact(classes).zip(targets.chunks_exact(classes)).zip(weights);
    for (((logits, target), weight), (loss, grad)) in rows.zip(losses.iter_mut().zip(grads.chunks_exact_mut(classes))) {
        *loss = row(logits, target, grad);
        for grad in grad {
            *grad *= share * weight;
        }
    }
}

/// The mean of the rows' losses, each by its weight.
pub(crate) fn mean(losses: &[f32], weights: &[f32]) -> f32 {
    let sum: f64 = losses.iter().zip(weights).map(|(loss, weight)| f64::from(*loss) * f64::from(*weight)).sum();
    #[expect(clippy::cast_possible_truncation, reason = "the loss is f32")]
    let mean = (sum / losses.len() as f64) as f32;
    mean
}

/// The loss of a row, and its gradient into `grad`.
fn row(logits: &[f32], target: &[f32], grad: &mut [f32]) -> f32 {
    // Softmax does not change when the same number is subtracted from every logit: no power can overflow.
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = grad;
    powers.iter_mut().zip(logits).for_each(|(power, z)| *power = (z - max).exp());
    let total: f32 = powers.iter().sum();
    let log_total = total.ln();
    let mut loss = 0.0;
    for ((power, target), z) in powers.iter_mut().zip(target).zip(logits) {
        if *target != 0.0 {
            loss -= target * (z - max - log_total);
        }
        *power = *power / total - target;
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        for classes in [2, 10, 26, 256] {
            let mut logits: Vec<f32> = noise(1, 2 * classes).into_iter().map(|z| z * 6.0).collect();
            // An answer that is sure.
            (logits[classes], logits[classes + 1]) = (40.0, -40.0);
            let mut targets = vec![0.1 / classes as f32; 2 * classes];
            targets[classes / 2] += 0.9;
            targets[2 * classes - 1] += 0.9;
            let (_, grads) = mean_with_grad(&logits, &targets, classes);
            for (index, grad) in grads.iter().enumerate() {
                let moved = |by: f32| {
                    let mut logits = logits.clone();
                    logits[index] += by;
                    f64::from(mean_with_grad(&logits, &targets, classes).0)
                };
                let slope = (moved(0.03125) - moved(-0.03125)) / 0.0625;
                assert!((slope - f64::from(*grad)).abs() < 1e-3, "{index} of {classes}: {slope} against {grad}");
            }
        }
    }
}
