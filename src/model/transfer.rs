//! A net for other classes than it was trained on.

use burn::{module::Param, nn::Linear, prelude::*};

use super::{LeNet5, LeNet5Config};
use crate::{Error, Result, fused::values};

impl LeNet5 {
    /// The same net for other classes: C1 to F6 stay as they are, and so does what leads to an output whose class has the same
    /// name. What leads to the other outputs is drawn with `seed`.
    ///
    /// # Errors
    /// The parameters cannot be read from their device.
    pub fn for_classes(self, own: &[String], wanted: &[String], seed: u64) -> Result<Self> {
        if own == wanted {
            return Ok(self);
        }
        let device = self.output.weight.val().device();
        let drawn = LeNet5Config::new(wanted.len()).init_seeded(seed, &device).output;
        let ([weights, biases], [mut new_weights, mut new_biases]) = (parameters(&self.output)?, parameters(&drawn)?);
        for (new, name) in wanted.iter().enumerate() {
            let Some(old) = own.iter().position(|own| own == name) else { continue };
            // The weights are `[inputs, outputs]`.
            for (to, from) in new_weights.chunks_exact_mut(wanted.len()).zip(weights.chunks_exact(own.len())) {
                to[new] = from[old];
            }
            new_biases[new] = biases[old];
        }
        let inputs = new_weights.len() / wanted.len().max(1);
        let weight = Tensor::from_data(TensorData::new(new_weights, [inputs, wanted.len()]), &device);
        let bias = Tensor::from_data(TensorData::new(new_biases, [wanted.len()]), &device);
        let output = Linear { weight: Param::from_tensor(weight), bias: Some(Param::from_tensor(bias)) };
        Ok(Self { output, ..self })
    }
}

/// Weights and biases of a layer.
fn parameters(layer: &Linear) -> Result<[Vec<f32>; 2]> {
    let bias = layer.bias.as_ref().ok_or_else(|| Error::Training("the net's output has no biases".into()))?;
    Ok([values(layer.weight.val())?, values(bias.val())?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn classes_of_the_same_name_keep_their_outputs() {
        let device = Device::flex();
        let old = LeNet5Config::new(3).init_seeded(1, &device);
        let (own, wanted) = (names(&["a", "b", "c"]), names(&["c", "new", "a", "other"]));
        let new = old.clone().for_classes(&own, &wanted, 7).unwrap();
        let images = Tensor::<4>::ones([1, 1, 32, 32], &device);
        let outputs = |net: &LeNet5| net.forward(images.clone()).into_data().iter::<f32>().collect::<Vec<_>>();
        let (before, after) = (outputs(&old), outputs(&new));
        assert_eq!((new.classes(), after.len()), (4, 4));
        // Matrices of another width may be multiplied in another order.
        assert!((after[0] - before[2]).abs() < 1e-6 && (after[2] - before[0]).abs() < 1e-6, "{before:?} {after:?}");
        let again = old.clone().for_classes(&own, &wanted, 7).unwrap();
        assert_eq!(outputs(&again), after);
        assert_ne!(outputs(&old.clone().for_classes(&own, &wanted, 8).unwrap()), after);
        assert_eq!(outputs(&old.clone().for_classes(&own, &own, 7).unwrap()), before);
        assert_eq!(values(new.c5.weight.val()).unwrap(), values(old.c5.weight.val()).unwrap());
    }
}
