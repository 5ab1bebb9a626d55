// A unit in the backward pass: where its error comes from, and what gradients it gives.
// @ts-check

import { el } from './dom.js';
import { TAPS } from './net.js';
import { rangeScale, signedScale, valueScale } from './paint.js';
import { matrix, sourceStrip, sumOf, sumTable, table, termsTable, tint, unitButton, windowTable } from './tables.js';
import { NAMES, short, signed, titleOf } from './text.js';
import { above, below, kindOf, linksFrom, linksTo, placeOf, windowOf } from './units.js';

/** @typedef {import('./tables.js').Context & { back: import('./backward.js').Backward }} Context */
/** @typedef {import('./units.js').Unit} Unit */

/** How many gradients of a dense layer's weights are listed. */
const LISTED_GRADIENTS = 6;

/** @param {Context} context @param {Unit} unit @returns {HTMLElement[]} */
export function explainBackward(context, unit) {
  const kind = kindOf(unit.layer);
  return [
    ...(unit.layer === 'output' ? fromLabel(context, unit)
      : kindOf(above(unit.layer)) === 'pooling' ? fromWindow(context, unit) : fromAbove(context, unit)),
    ...(kind === 'convolution' || unit.layer === 'f6' ? throughRelu(context, unit) : []),
    ...(kind === 'pooling' ? toWinner(context, unit) : []),
    ...(kind === 'convolution' ? kernelGradient(context, unit) : []),
    ...(kind === 'dense' ? weightGradients(context, unit) : []),
  ];
}

/** @param {Context} context @param {Unit} unit */
function fromLabel({ pass, back, label }, unit) {
  const y = pass.probabilities[unit.index];
  const error = back.errors.output[unit.index];
  return [
    el('p', {}, 'Softmax and cross-entropy together have a simple derivative: the probability y minus the label, which is 1 for the '
      + 'right class and 0 for the others.'),
    el('p', { class: 'formula' }, `y − label = ${short(y)} − ${unit.index === label ? 1 : 0} = `, el('b', {}, signed(error))),
  ];
}

/** The sum of the errors above, times the weights on the way. @param {Context} context @param {Unit} unit */
function fromAbove(context, unit) {
  const { net, pass, back } = context;
  const target = above(unit.layer);
  const links = linksTo(net, pass, unit);
  const errorOf = (/** @type {import('./units.js').Link} */ link) => back.errors[target][link.unit.index];
  const alive = links.filter((link) => errorOf(link) !== 0);
  const sum = sumOf(alive.map((link) => errorOf(link) * link.weight));
  const count = alive.length === links.length ? 'all of them' : `${alive.length} of them`;
  return [
    el('p', {}, `It is a term of ${links.length} units of ${titleOf(target)}; ${count} have an error. What arrives is the sum of `
      + 'their errors times the weights:'),
    ...(alive.length > 0 ? [termsTable(context, target, alive, 'error', errorOf)] : []),
    sumTable([['together', signed(sum), true]]),
  ];
}

/** A unit of C1 or C3 gets the error of its window if it was the winner. @param {Context} context @param {Unit} unit */
function fromWindow(context, unit) {
  const { net, pass, back } = context;
  const window = windowOf(net, unit);
  const isWinner = linksTo(net, pass, unit).length > 0;
  return [
    el('p', {}, 'The error of ', unitButton(context, window), ` is ${signed(back.errors[window.layer][window.index])}. `, isWinner
      ? 'This unit was the winner of the window: all of it arrives here.'
      : 'Another unit was the winner of the window: none of it arrives here.'),
    windowTable(context, window, back.errors, unit),
  ];
}

/** @param {Context} context @param {Unit} unit */
function throughRelu({ pass, back }, unit) {
  const value = pass.values[unit.layer][unit.index];
  const gate = value === 0 ? 'ReLU was closed, since its value is 0' : `ReLU was open, since its value is ${short(value)}`;
  return [sumTable([[gate, ''], ['its error', signed(back.errors[unit.layer][unit.index]), true]])];
}

/** @param {Context} context @param {Unit} unit */
function toWinner(context, unit) {
  return [el('h4', {}, 'Where it goes'), el('p', {}, 'All of it to the winner of its window, through ReLU; the others get none:'),
    windowTable(context, unit, context.back.errors)];
}

/** @param {Context} context @param {Unit} unit */
function kernelGradient(context, unit) {
  const { net, pass, back } = context;
  const layer = below(unit.layer);
  const error = back.errors[unit.layer][unit.index];
  const links = linksFrom(net, pass, unit);
  const patch = links.map((link) => pass.values[layer][link.unit.index]);
  const gradient = back.gradients[/** @type {'c1'} */ (unit.layer)];
  const all = links.map((link) => gradient.weights[link.parameter]);
  const own = patch.map((value) => value * error);
  const { map } = placeOf(net, unit);
  const positions = net.shapes[unit.layer].side ** 2;
  const active = back.errors[unit.layer].subarray(map * positions, (map + 1) * positions).filter((each) => each !== 0).length;
  const patchScale = layer === 'input' ? rangeScale(pass.values.input) : valueScale(patch);
  const { at, parts } = sourceStrip(context, layer, [[patch, patchScale], [all, signedScale(all)]], all,
    'the gradient of the kernel, and its sum');
  const cut = (/** @type {number[]} */ values) => values.slice(at * TAPS, (at + 1) * TAPS);
  return [
    el('h4', {}, 'The gradient of its kernel'),
    el('p', {}, 'A weight’s gradient is the value below it times the error above it. ', positions > 1
      ? `The map uses its kernel at ${positions} positions, of which ${active} have an error: their parts are added up.`
      : 'The kernel is used here alone: this is all of its gradient.'),
    ...parts,
    el('div', { class: 'matrices' },
      matrix('patch', cut(patch), patchScale),
      matrix(positions > 1 ? 'its part' : 'gradient', cut(own), signedScale(own), `× ${signed(error)} =`),
      ...(positions > 1 ? [matrix('all parts: the gradient', cut(all), signedScale(all), 'Σ')] : []),
      sumTable([['bias’s gradient', signed(gradient.biases[map])]])),
  ];
}

/** @param {Context} context @param {Unit} unit */
function weightGradients(context, unit) {
  const { net, pass, back } = context;
  const layer = below(unit.layer);
  const error = back.errors[unit.layer][unit.index];
  const heading = el('h4', {}, 'The gradients of its weights');
  if (error === 0) return [heading, el('p', {}, 'Its error is 0, and so are the gradients of its weights.')];
  const inputs = linksFrom(net, pass, unit).map((link) => ({ link, value: pass.values[layer][link.unit.index] }));
  inputs.sort((a, b) => b.value - a.value);
  const listed = inputs.slice(0, LISTED_GRADIENTS);
  const scale = signedScale(listed.map(({ value }) => value * error));
  const rows = listed.map(({ link, value }) => {
    const cell = el('td', {}, signed(value * error));
    tint(cell, value * error, scale);
    return el('tr', {}, el('th', { scope: 'row' }, unitButton(context, link.unit)), el('td', {}, short(link.weight)), el('td', {}, short(value)), cell);
  });
  rows.push(el('tr', {}, el('th', { scope: 'row' }, 'bias'),
    el('td', {}, short(net.parameters[/** @type {'f6'} */ (unit.layer)].biases[unit.index])), el('td'), el('td', {}, signed(error))));
  const silent = inputs.filter(({ value }) => value === 0).length;
  return [
    heading,
    el('p', {}, `A weight’s gradient is the value below it times the error above it, ${signed(error)}. `,
      silent > 0 ? `${silent} of ${inputs.length} units of ${titleOf(layer)} are 0, and so are the gradients of their weights.` : ''),
    table([NAMES[layer], 'weight', 'value', 'gradient'], rows),
  ];
}
