// The backward pass, as the assignment derives it: from y - label at the output to the gradient of every parameter.
// @ts-check

import { KERNEL, TAPS } from './net.js';

/** @typedef {import('./net.js').Net} Net */
/** @typedef {import('./net.js').Pass} Pass */
/** @typedef {{ weights: Float64Array, biases: Float64Array }} Gradient */
/**
 * @typedef {object} Backward
 * @property {number} loss -ln of the label's probability
 * @property {Record<import('./net.js').LayerName, Float64Array>} errors the loss's derivative with respect to each unit,
 *   before ReLU
 * @property {Record<'c1' | 'c3' | 'c5' | 'f6' | 'output', Gradient>} gradients
 */

/**
 * @param {Net} net
 * @param {Pass} pass
 * @param {number} label
 * @returns {Backward}
 */
export function backward(net, pass, label) {
  const { probabilities } = pass;
  // The derivative of cross-entropy after softmax.
  const output = probabilities.map((y, index) => y - (index === label ? 1 : 0));
  return { loss: -Math.log(probabilities[label]), ...propagate(net, pass, output) };
}

/**
 * From derivatives with respect to the logits to those of everything below.
 * @param {Net} net
 * @param {Pass} pass
 * @param {Float64Array} output
 * @returns {Pick<Backward, 'errors' | 'gradients'>}
 */
export function propagate({ parameters, shapes }, { values, winners }, output) {
  const toF6 = connectBackward(parameters.output, values.f6, output);
  const f6 = reluBackward(toF6.errors, values.f6);
  const toC5 = connectBackward(parameters.f6, values.c5, f6);
  const c5 = reluBackward(toC5.errors, values.c5);
  const toS4 = convolveBackward(parameters.c5, values.s4, shapes.s4.side, c5);
  const c3 = reluBackward(maxPoolBackward(toS4.errors, winners.s4, values.c3.length), values.c3);
  const toS2 = convolveBackward(parameters.c3, values.s2, shapes.s2.side, c3);
  const c1 = reluBackward(maxPoolBackward(toS2.errors, winners.s2, values.c1.length), values.c1);
  const toInput = convolveBackward(parameters.c1, values.input, shapes.input.side, c1);
  return {
    errors: { output, f6, c5, s4: toS4.errors, c3, s2: toS2.errors, c1, input: toInput.errors },
    gradients: { output: toF6.gradient, f6: toC5.gradient, c5: toS4.gradient, c3: toS2.gradient, c1: toInput.gradient },
  };
}

/**
 * A weight's gradient is the error above it times the value below it; a unit's error is the sum of the errors above it
 * times the weights on the way.
 * @param {import('./net.js').Parameters} layer
 * @param {Float64Array} input
 * @param {Float64Array} errors of the layer
 */
function connectBackward({ weights }, input, errors) {
  const gradient = { weights: new Float64Array(weights.length), biases: Float64Array.from(errors) };
  const inputErrors = new Float64Array(input.length);
  for (let unit = 0; unit < errors.length; unit++) {
    for (let i = 0; i < input.length; i++) {
      const at = unit * input.length + i;
      gradient.weights[at] = errors[unit] * input[i];
      inputErrors[i] += errors[unit] * weights[at];
    }
  }
  return { errors: inputErrors, gradient };
}

/**
 * The same where all positions of a map share their weights: their gradients are added up.
 * @param {import('./net.js').Parameters} layer
 * @param {Float64Array} input
 * @param {number} inputSide
 * @param {Float64Array} errors of the layer
 */
function convolveBackward({ weights, biases }, input, inputSide, errors) {
  const side = inputSide - KERNEL + 1;
  const inputMaps = input.length / (inputSide * inputSide);
  const gradient = { weights: new Float64Array(weights.length), biases: new Float64Array(biases.length) };
  const inputErrors = new Float64Array(input.length);
  errors.forEach((error, unit) => {
    // Most are zero: only winners have errors.
    if (error === 0) return;
    const map = Math.floor(unit / (side * side));
    const row = Math.floor(unit / side) % side;
    const column = unit % side;
    gradient.biases[map] += error;
    let tap = map * inputMaps * TAPS;
    for (let inputMap = 0; inputMap < inputMaps; inputMap++) {
      for (let i = 0; i < KERNEL; i++) {
        const start = (inputMap * inputSide + row + i) * inputSide + column;
        for (let j = 0; j < KERNEL; j++, tap++) {
          gradient.weights[tap] += error * input[start + j];
          inputErrors[start + j] += error * weights[tap];
        }
      }
    }
  });
  return { errors: inputErrors, gradient };
}

/**
 * ReLU lets an error through where its output is not zero.
 * @param {Float64Array} errors
 * @param {Float64Array} outputs
 */
function reluBackward(errors, outputs) {
  return errors.map((error, unit) => (outputs[unit] === 0 ? 0 : error));
}

/**
 * The error of a window goes to its winner; the others have none.
 * @param {Float64Array} errors
 * @param {Int32Array} winners
 * @param {number} units of the layer below
 */
function maxPoolBackward(errors, winners, units) {
  const below = new Float64Array(units);
  errors.forEach((error, window) => (below[winners[window]] += error));
  return below;
}
