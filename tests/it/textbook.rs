//! The assignment's derivation, written to be read: one image at a time, in `f64`, with patches, the argmax of each pooling
//! window, and no tricks. The program's operators are tested against it. Quotes are the assignment's words.

/// A layer's weights `[outputs][inputs]` and biases, or their gradients.
#[derive(Clone, Debug)]
pub struct Layer {
    pub weights: Vec<f64>,
    pub biases: Vec<f64>,
}

/// C1, C3, C5, F6 and output.
pub type Layers = [Layer; 5];

/// Square maps, one after another.
#[derive(Clone, Debug)]
pub struct Maps {
    pub values: Vec<f64>,
    pub side: usize,
}

const KERNEL: usize = 5;

/// "`im2col`, which essentially will stretch our input image": a row for each position of the kernel, with the
/// pixels that it covers, map by map.
fn im2col(input: &Maps) -> Vec<Vec<f64>> {
    let side = input.side - KERNEL + 1;
    let patch = |at: usize| {
        let (top, left) = (at / side, at % side);
        let pixel = move |map: &[f64], i: usize| map[(top + i / KERNEL) * input.side + left + i % KERNEL];
        input
            .values
            .chunks(input.side * input.side)
            .flat_map(move |map| (0..KERNEL * KERNEL).map(move |i| pixel(map, i)))
    };
    (0..side * side).map(|at| patch(at).collect()).collect()
}

/// "To undo this": what the patches say of a pixel is added up.
fn col2im(patches: &[Vec<f64>], input: &Maps) -> Maps {
    let side = input.side - KERNEL + 1;
    let mut image = Maps { values: vec![0.0; input.values.len()], side: input.side };
    for (at, patch) in patches.iter().enumerate() {
        for (i, value) in patch.iter().enumerate() {
            let (map, i) = (i / (KERNEL * KERNEL), i % (KERNEL * KERNEL));
            let (row, column) = (at / side + i / KERNEL, at % side + i % KERNEL);
            image.values[(map * input.side + row) * input.side + column] += value;
        }
    }
    image
}

/// A product of patches and filters.
fn convolve(layer: &Layer, input: &Maps) -> Maps {
    let patches = im2col(input);
    let values = layer.biases.iter().zip(layer.weights.chunks(patches[0].len()));
    let values = values.flat_map(|(bias, filter)| patches.iter().map(move |patch| bias + dot(filter, patch)));
    Maps { values: values.collect(), side: input.side - KERNEL + 1 }
}

/// `∂L/∂W` and `∂L/∂b` into `gradient`, `∂L/∂X` as the result.
fn convolve_backward(layer: &Layer, input: &Maps, errors: &Maps, gradient: &mut Layer) -> Maps {
    let patches = im2col(input);
    let mut patch_grads = vec![vec![0.0; patches[0].len()]; patches.len()];
    for (map, errors) in errors.values.chunks(patches.len()).enumerate() {
        gradient.biases[map] += errors.iter().sum::<f64>();
        let filter = map * patches[0].len();
        for ((error, patch), patch_grad) in errors.iter().zip(&patches).zip(&mut patch_grads) {
            for (i, x) in patch.iter().enumerate() {
                gradient.weights[filter + i] += error * x;
                patch_grad[i] += error * layer.weights[filter + i];
            }
        }
    }
    col2im(&patch_grads, input)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn relu(values: &mut [f64]) {
    for value in values {
        *value = value.max(0.0);
    }
}

/// "We let the gradient pass through when the `ReLU` result is non-zero".
fn relu_backward(errors: &mut [f64], outputs: &[f64]) {
    for (error, output) in errors.iter_mut().zip(outputs) {
        if *output == 0.0 {
            *error = 0.0;
        }
    }
}

/// "Getting the maximum index first": the maxima of 2x2, and where in the input each was found.
fn max_pool(input: &Maps) -> (Maps, Vec<usize>) {
    let side = input.side / 2;
    let maps = input.values.len() / (input.side * input.side);
    let argmax = |cell: usize| {
        let (map, row, column) = (cell / (side * side), cell / side % side, cell % side);
        let corner = (map * input.side + 2 * row) * input.side + 2 * column;
        let window = [corner, corner + 1, corner + input.side, corner + input.side + 1];
        window.into_iter().reduce(|best, i| if input.values[i] > input.values[best] { i } else { best }).unwrap()
    };
    let argmax: Vec<usize> = (0..maps * side * side).map(argmax).collect();
    (Maps { values: argmax.iter().map(|i| input.values[*i]).collect(), side }, argmax)
}

/// The error of a unit goes to its "winning unit".
fn max_pool_backward(errors: &[f64], argmax: &[usize], input: &Maps) -> Maps {
    let mut input_grad = Maps { values: vec![0.0; input.values.len()], side: input.side };
    for (error, position) in errors.iter().zip(argmax) {
        input_grad.values[*position] += error;
    }
    input_grad
}

/// `z = W x + b`
fn connect(layer: &Layer, input: &[f64]) -> Vec<f64> {
    layer.biases.iter().zip(layer.weights.chunks(input.len())).map(|(bias, row)| bias + dot(row, input)).collect()
}

fn connect_backward(layer: &Layer, input: &[f64], errors: &[f64], gradient: &mut Layer) -> Vec<f64> {
    let mut input_grad = vec![0.0; input.len()];
    for (unit, error) in errors.iter().enumerate() {
        gradient.biases[unit] += error;
        for (i, x) in input.iter().enumerate() {
            gradient.weights[unit * input.len() + i] += error * x;
            input_grad[i] += error * layer.weights[unit * input.len() + i];
        }
    }
    input_grad
}

pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::MIN, f64::max);
    let powers: Vec<f64> = logits.iter().map(|z| (z - top).exp()).collect();
    powers.iter().map(|p| p / powers.iter().sum::<f64>()).collect()
}

/// What a pass over one image gives.
pub struct Pass {
    pub logits: Vec<f64>,
    /// `-ln y` of the label.
    pub loss: f64,
    /// `∂loss/∂image`, `[32][32]`
    pub image_gradient: Vec<f64>,
}

/// One image forwards and backwards; adds the loss's gradient to `gradient`.
pub fn forward_backward(layers: &Layers, image: &[f64], label: usize, gradient: &mut Layers) -> Pass {
    let [c1, c3, c5, f6, output] = layers;
    let input = Maps { values: image.to_vec(), side: 32 };
    let mut c1_maps = convolve(c1, &input);
    relu(&mut c1_maps.values);
    let (s2, s2_argmax) = max_pool(&c1_maps);
    let mut c3_maps = convolve(c3, &s2);
    relu(&mut c3_maps.values);
    let (s4, s4_argmax) = max_pool(&c3_maps);
    let mut c5_maps = convolve(c5, &s4);
    relu(&mut c5_maps.values);
    let mut f6_units = connect(f6, &c5_maps.values);
    relu(&mut f6_units);
    let logits = connect(output, &f6_units);
    let probabilities = softmax(&logits);

    // The derivative of cross-entropy after softmax: the prediction minus the label.
    let mut errors = probabilities.clone();
    errors[label] -= 1.0;
    let [c1_gradient, c3_gradient, c5_gradient, f6_gradient, output_gradient] = gradient;
    let mut errors = connect_backward(output, &f6_units, &errors, output_gradient);
    relu_backward(&mut errors, &f6_units);
    let mut errors = connect_backward(f6, &c5_maps.values, &errors, f6_gradient);
    relu_backward(&mut errors, &c5_maps.values);
    let errors = convolve_backward(c5, &s4, &Maps { values: errors, side: 1 }, c5_gradient);
    let mut errors = max_pool_backward(&errors.values, &s4_argmax, &c3_maps);
    relu_backward(&mut errors.values, &c3_maps.values);
    let errors = convolve_backward(c3, &s2, &errors, c3_gradient);
    let mut errors = max_pool_backward(&errors.values, &s2_argmax, &c1_maps);
    relu_backward(&mut errors.values, &c1_maps.values);
    let image_gradient = convolve_backward(c1, &input, &errors, c1_gradient).values;
    Pass { logits, loss: -probabilities[label].ln(), image_gradient }
}

/// Layers of zeros, to sum gradients in.
pub fn zeros(layers: &Layers) -> Layers {
    layers.clone().map(|layer| Layer { weights: vec![0.0; layer.weights.len()], biases: vec![0.0; layer.biases.len()] })
}
