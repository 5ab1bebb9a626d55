//! Softmax and cross-entropy, and the gradient of both: the difference of prediction and target.
//!
//! Source: the assignment's "Fully Connected Layer and SoftMax". It gives the loss as `-Σ yᵢ log yᵢ` with the softmax's output
//! twice, which is its entropy; cross-entropy has the target first, `-Σ ŷᵢ ln yᵢ`.

use crate::shapes::OUTPUT;

/// The mean loss of a mini-batch, and its derivative with respect to each logit. In the assignment's notation, with `y =
/// softmax(z)` and the target `ŷ`, a distribution,
/// `loss = -Σᵢ ŷᵢ ln yᵢ` and `∂loss/∂zᵢ = yᵢ - ŷᵢ`, each divided by the number of rows.
///
/// # Shapes
/// logits and targets `[batch][10]` -> the mean loss in nats (NaN for an empty batch), gradient `[batch * 10]`
///
/// # Panics
/// There are more or fewer targets than logits.
#[must_use]
pub fn mean_with_grad(logits: &[[f32; OUTPUT]], targets: &[[f32; OUTPUT]]) -> (f32, Vec<f32>) {
    assert_eq!(logits.len(), targets.len(), "each row of logits needs a target");
    let share = 1.0 / logits.len() as f32;
    let mut grads = Vec::with_capacity(logits.len() * OUTPUT);
    let mut sum = 0.0_f64;
    for (logits, target) in logits.iter().zip(targets) {
        let (loss, grad) = row(logits, target);
        sum += f64::from(loss);
        grads.extend(grad.map(|grad| grad * share));
    }
    #[expect(clippy::cast_possible_truncation, reason = "the loss is f32")]
    let mean = (sum / logits.len() as f64) as f32;
    (mean, grads)
}

fn row(logits: &[f32; OUTPUT], target: &[f32; OUTPUT]) -> (f32, [f32; OUTPUT]) {
    // Softmax does not change when the same number is subtracted from every logit: no power can overflow.
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = logits.map(|z| (z - max).exp());
    let total: f32 = powers.iter().sum();
    let log_total = total.ln();
    let mut loss = 0.0;
    let mut grad = [0.0; OUTPUT];
    for i in 0..OUTPUT {
        if target[i] != 0.0 {
            loss -= target[i] * (logits[i] - max - log_total);
        }
        grad[i] = powers[i] / total - target[i];
    }
    (loss, grad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let logits = [
            [0.5, -1.0, 2.0, 0.0, 3.0, -2.5, 1.0, 0.25, -0.75, 1.5],
            [40.0, -40.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
        ];
        let mut targets = [[0.01; OUTPUT]; 2];
        (targets[0][4], targets[1][9]) = (0.91, 0.91);
        let (_, grads) = mean_with_grad(&logits, &targets);
        for index in 0..2 * OUTPUT {
            let moved = |by: f32| {
                let mut logits = logits;
                logits.as_flattened_mut()[index] += by;
                f64::from(mean_with_grad(&logits, &targets).0)
            };
            let slope = (moved(0.03125) - moved(-0.03125)) / 0.0625;
            assert!((slope - f64::from(grads[index])).abs() < 1e-3, "{index}: {slope} against {}", grads[index]);
        }
    }
}
