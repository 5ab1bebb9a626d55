// LeNet-5 forward, one image at a time, in plain loops. A layer's units are in one array: map by map, row by row.
// @ts-check

/** Rows and columns of an image, and of the net's input: the image in the middle of background. */
export const IMAGE_SIDE = 28;
export const INPUT_SIDE = 32;
/** Rows and columns of a kernel. */
export const KERNEL = 5;
export const TAPS = KERNEL * KERNEL;

/** @typedef {'input' | 'c1' | 's2' | 'c3' | 's4' | 'c5' | 'f6' | 'output'} LayerName */
/** @typedef {{ weights: Float32Array, biases: Float32Array }} Parameters */
/** @typedef {{ maps: number, side: number }} Shape a layer's number of maps, and their rows and columns */
/**
 * @typedef {object} Net
 * @property {Record<LayerName, Shape>} shapes
 * @property {{ c1: Parameters, c3: Parameters, c5: Parameters, f6: Parameters, output: Parameters }} parameters
 *   weights are [outputs][inputs] or [outputs][input maps][5][5]
 * @property {{ slope: number, background: number }} scale from a pixel, 0 to 255, to the net's input
 */
/**
 * @typedef {object} Pass what a forward pass computes
 * @property {Record<LayerName, Float64Array>} values each unit's value, after ReLU; the output's are logits
 * @property {{ s2: Int32Array, s4: Int32Array }} winners the unit of the layer below that each pooled unit was taken from
 * @property {Float64Array} probabilities
 */

/** From the input to the output. @type {LayerName[]} */
export const LAYERS = ['input', 'c1', 's2', 'c3', 's4', 'c5', 'f6', 'output'];

/**
 * The net from its parameters: little-endian f32 in base64, layer by layer, weights before biases.
 * @param {string} base64
 * @param {number} classes
 * @param {{ slope: number, background: number }} scale
 * @returns {Net}
 */
export function readNet(base64, classes, scale) {
  const values = new Float32Array(bytesOf(base64).buffer);
  let at = 0;
  const take = (/** @type {number} */ count) => values.subarray(at, (at += count));
  const layer = (/** @type {number} */ outputs, /** @type {number} */ inputs) =>
    ({ weights: take(outputs * inputs), biases: take(outputs) });
  const parameters = {
    c1: layer(6, TAPS),
    c3: layer(16, 6 * TAPS),
    c5: layer(120, 16 * TAPS),
    f6: layer(84, 120),
    output: layer(classes, 84),
  };
  const shapes = {
    input: { maps: 1, side: INPUT_SIDE },
    c1: { maps: 6, side: 28 },
    s2: { maps: 6, side: 14 },
    c3: { maps: 16, side: 10 },
    s4: { maps: 16, side: 5 },
    c5: { maps: 120, side: 1 },
    f6: { maps: 84, side: 1 },
    output: { maps: classes, side: 1 },
  };
  return { shapes, parameters, scale };
}

/** @param {string} base64 */
export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

/**
 * @param {Net} net
 * @param {ArrayLike<number>} pixels 28x28, 0 (background) to 255 (foreground)
 * @returns {Pass}
 */
export function forward(net, pixels) {
  const { c1, c3, c5, f6, output } = net.parameters;
  const input = scaled(net, pixels);
  const c1Values = relu(convolve(c1, input, INPUT_SIDE));
  const s2 = maxPool(c1Values, 28);
  const c3Values = relu(convolve(c3, s2.values, 14));
  const s4 = maxPool(c3Values, 10);
  const c5Values = relu(convolve(c5, s4.values, 5));
  const f6Values = relu(connect(f6, c5Values));
  const logits = connect(output, f6Values);
  return {
    values: { input, c1: c1Values, s2: s2.values, c3: c3Values, s4: s4.values, c5: c5Values, f6: f6Values, output: logits },
    winners: { s2: s2.winners, s4: s4.winners },
    probabilities: softmax(logits),
  };
}

/**
 * The image in the middle of background, scaled for the net.
 * @param {Net} net
 * @param {ArrayLike<number>} pixels
 */
function scaled(net, pixels) {
  const { slope, background } = net.scale;
  const margin = (INPUT_SIDE - IMAGE_SIDE) / 2;
  const input = new Float64Array(INPUT_SIDE * INPUT_SIDE).fill(background);
  for (let row = 0; row < IMAGE_SIDE; row++) {
    for (let column = 0; column < IMAGE_SIDE; column++) {
      input[(row + margin) * INPUT_SIDE + column + margin] = pixels[row * IMAGE_SIDE + column] * slope + background;
    }
  }
  return input;
}

/**
 * A convolution without padding: every kernel at every position.
 * @param {Parameters} layer
 * @param {Float64Array} input
 * @param {number} inputSide
 */
function convolve({ weights, biases }, input, inputSide) {
  const side = inputSide - KERNEL + 1;
  const inputMaps = input.length / (inputSide * inputSide);
  const output = new Float64Array(biases.length * side * side);
  let unit = 0;
  for (let map = 0; map < biases.length; map++) {
    const kernels = weights.subarray(map * inputMaps * TAPS, (map + 1) * inputMaps * TAPS);
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        let sum = biases[map];
        let tap = 0;
        for (let inputMap = 0; inputMap < inputMaps; inputMap++) {
          for (let i = 0; i < KERNEL; i++) {
            const start = (inputMap * inputSide + row + i) * inputSide + column;
            for (let j = 0; j < KERNEL; j++) sum += kernels[tap++] * input[start + j];
          }
        }
        output[unit++] = sum;
      }
    }
  }
  return output;
}

/**
 * Every input to every output.
 * @param {Parameters} layer
 * @param {Float64Array} input
 */
function connect({ weights, biases }, input) {
  const output = Float64Array.from(biases);
  for (let unit = 0; unit < output.length; unit++) {
    for (let i = 0; i < input.length; i++) output[unit] += weights[unit * input.length + i] * input[i];
  }
  return output;
}

/** @param {Float64Array} values */
function relu(values) {
  return values.map((value) => Math.max(value, 0));
}

/**
 * The largest of each 2x2 window, and where it is: the way back for the window's error.
 * @param {Float64Array} input
 * @param {number} inputSide
 */
function maxPool(input, inputSide) {
  const side = inputSide / 2;
  const winners = new Int32Array(input.length / 4);
  for (let unit = 0; unit < winners.length; unit++) {
    const map = Math.floor(unit / (side * side));
    const row = Math.floor(unit / side) % side;
    const corner = (map * inputSide + 2 * row) * inputSide + 2 * (unit % side);
    let winner = corner;
    for (const rival of [corner + 1, corner + inputSide, corner + inputSide + 1]) {
      if (input[rival] > input[winner]) winner = rival;
    }
    winners[unit] = winner;
  }
  return { values: Float64Array.from(winners, (winner) => input[winner]), winners };
}

/** @param {Float64Array} logits */
function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}
