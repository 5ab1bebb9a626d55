//! What several tests need.

#![allow(clippy::panic, reason = "a test fails by a panic")]

use crate::{
    parameters::{Parameters, lengths},
    shapes::{INPUT, Image},
};

/// Values between -0.5 and 0.5 without a pattern.
pub fn noise(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|i| (((i + seed * 1000) as f32) * 12.9898).sin() * 0.5).collect()
}

/// Parameters of the size that training starts with: U(±1/√fan-in).
pub fn parameters(classes: usize) -> Parameters<Vec<f32>> {
    let fan_in = [25.0_f32, 150.0, 400.0, 120.0, 84.0];
    let lengths = lengths(classes).into_array();
    Parameters::from_array(std::array::from_fn(|i| {
        let scale = 2.0 / fan_in[i / 2].sqrt();
        noise(i, lengths[i]).into_iter().map(|v| v * scale).collect()
    }))
}

/// Images of three kinds in turn: noise, plain background, and background with some spots.
pub fn images(count: usize) -> Vec<f32> {
    let mut images = noise(50, count * INPUT);
    for (index, image) in images.chunks_exact_mut(INPUT).enumerate().filter(|(index, _)| index % 3 > 0) {
        let spots = if index % 3 == 1 { 0 } else { index % 7 + 1 };
        let spots: Vec<(usize, f32)> =
            (0..spots).map(|spot| ((spot * 389 + index * 31) % INPUT, image[spot])).collect();
        image.fill(-0.4);
        for (pixel, value) in spots {
            image[pixel] = value;
        }
    }
    images
}

/// The same as arrays.
pub fn image_arrays(count: usize) -> Vec<Image> {
    bytemuck::cast_slice(&images(count)).to_vec()
}

/// Compares with what was computed in `f64`; sums of at most a few thousand products, each rounded to 24 bits, agree to
/// about 1e-5 of the largest of them.
pub fn assert_close(what: &str, got: impl IntoIterator<Item = f32>, expected: impl IntoIterator<Item = f64>) {
    let (got, expected): (Vec<_>, Vec<_>) = (got.into_iter().collect(), expected.into_iter().collect());
    assert_eq!(got.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-6_f64, |scale, v| scale.max(v.abs()));
    for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
        let difference = (f64::from(*got) - expected).abs();
        assert!(difference <= 1e-4 * scale, "{what}[{index}]: {got} against {expected}, scale {scale}");
    }
}

/// Maps of a layer, `[maps][side][side]`, in the reference's precision.
pub struct Maps {
    pub values: Vec<f64>,
    pub side: usize,
}

impl Maps {
    pub fn at(&self, map: usize, y: usize, x: usize) -> f64 {
        self.values[(map * self.side + y) * self.side + x]
    }

    fn add(&mut self, map: usize, y: usize, x: usize, value: f64) {
        self.values[(map * self.side + y) * self.side + x] += value;
    }
}

/// A convolution of 5x5 with ReLU and max-pooling in plain loops, as the layers' files state it.
pub struct Reference<'a> {
    pub input: &'a Maps,
    pub inputs: usize,
    pub outputs: usize,
    /// `[outputs][inputs][5][5]`
    pub weight: &'a [f32],
    pub bias: &'a [f32],
}

impl Reference<'_> {
    fn weight(&self, output: usize, input: usize, i: usize, j: usize) -> f64 {
        f64::from(self.weight[((output * self.inputs + input) * 5 + i) * 5 + j])
    }

    /// The pooled maps, and for each of their units the position in the convolution's output that it came from.
    pub fn forward(&self) -> (Maps, Vec<(usize, usize)>) {
        let side = (self.input.side - 4) / 2;
        let (mut pooled, mut argmax) = (Vec::new(), Vec::new());
        for (output, row, column) in positions(self.outputs, side) {
            let mut best = (f64::NEG_INFINITY, (0, 0));
            for (y, x) in [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(y, x)| (2 * row + y, 2 * column + x)) {
                let mut sum = f64::from(self.bias[output]);
                for (input, i, j) in positions(self.inputs, 5) {
                    sum += self.weight(output, input, i, j) * self.input.at(input, y + i, x + j);
                }
                if sum > best.0 {
                    best = (sum, (y, x));
                }
            }
            pooled.push(best.0.max(0.0));
            argmax.push(best.1);
        }
        (Maps { values: pooled, side }, argmax)
    }

    /// The gradients of weights, biases and input from that of the pooled maps, which is zero where they are.
    pub fn backward(&self, grad: &Maps, argmax: &[(usize, usize)]) -> (Vec<f64>, Vec<f64>, Maps) {
        let (mut weight, mut bias) = (vec![0.0; self.weight.len()], vec![0.0; self.bias.len()]);
        let mut input = Maps { values: vec![0.0; self.input.values.len()], side: self.input.side };
        for ((output, row, column), (y, x)) in positions(self.outputs, grad.side).zip(argmax) {
            let grad = grad.at(output, row, column);
            bias[output] += grad;
            for (from, i, j) in positions(self.inputs, 5) {
                weight[((output * self.inputs + from) * 5 + i) * 5 + j] += grad * self.input.at(from, y + i, x + j);
                input.add(from, y + i, x + j, grad * self.weight(output, from, i, j));
            }
        }
        (weight, bias, input)
    }
}

/// Every map, row and column.
pub fn positions(maps: usize, side: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..maps * side * side).map(move |i| (i / (side * side), i / side % side, i % side))
}
