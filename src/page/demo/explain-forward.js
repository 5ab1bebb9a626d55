// A unit in the forward pass: what it is made of, and where it goes.
// @ts-check

import { el } from './dom.js';
import { TAPS } from './net.js';
import { rangeScale, signedScale, valueScale } from './paint.js';
import { matrix, sourceStrip, sumOf, sumTable, termsTable, unitButton, windowTable } from './tables.js';
import { percent, short, signed, titleOf } from './text.js';
import { above, below, kindOf, linksFrom, linksTo, placeOf, windowOf } from './units.js';

/** @typedef {import('./tables.js').Context} Context */
/** @typedef {import('./units.js').Unit} Unit */

/** @param {Context} context @param {Unit} unit @returns {HTMLElement[]} */
export function explainForward(context, unit) {
  const made = { input: pixel, convolution, pooling, dense }[kindOf(unit.layer)](context, unit);
  const isPooled = kindOf(above(unit.layer)) === 'pooling';
  return [...made, ...(isPooled ? windowParts(context, unit) : []), ...destinations(context, unit)];
}

/** @param {Context} context @param {Unit} unit */
function pixel({ net, pass }, unit) {
  const { slope, background } = net.scale;
  const value = pass.values.input[unit.index];
  const byte = Math.round((value - background) / slope);
  const sum = `${byte} × ${slope.toFixed(5)} ${background < 0 ? '−' : '+'} ${Math.abs(background).toFixed(4)} = `;
  return [el('p', {}, `Its shade is ${byte} of 255, from background to foreground. Scaled for the net:`),
    el('p', { class: 'formula' }, sum, el('b', {}, short(value)))];
}

/** @param {Context} context @param {Unit} unit */
function pooling(context, unit) {
  return [el('p', {}, `The largest of four units of ${titleOf(below(unit.layer))}, the winner of its window:`),
    windowTable(context, unit, context.pass.values)];
}

/** @param {Context} context @param {Unit} unit */
function convolution(context, unit) {
  const { net, pass } = context;
  const layer = below(unit.layer);
  const links = linksFrom(net, pass, unit);
  const patch = links.map((link) => pass.values[layer][link.unit.index]);
  const kernel = links.map((link) => link.weight);
  const products = patch.map((value, i) => value * kernel[i]);
  const bias = net.parameters[/** @type {'c1'} */ (unit.layer)].biases[placeOf(net, unit).map];
  const patchScale = layer === 'input' ? rangeScale(pass.values.input) : valueScale(patch);
  const kernelScale = signedScale(kernel);
  const { at, parts } = sourceStrip(context, layer, [[patch, patchScale], [kernel, kernelScale]], products,
    'the kernel, and the sum of their products');
  const cut = (/** @type {number[]} */ values) => values.slice(at * TAPS, (at + 1) * TAPS);
  return [...parts, el('div', { class: 'matrices' },
    matrix('patch', cut(patch), patchScale),
    matrix('kernel', cut(kernel), kernelScale, '×'),
    matrix('products', cut(products), signedScale(products), '='),
    reluSum(sumOf(products), bias))];
}

/** @param {number} sum @param {number} bias */
function reluSum(sum, bias) {
  const total = sum + bias;
  return sumTable([['all products', signed(sum)], ['bias', signed(bias)], ['together', signed(total), true],
    [total > 0 ? 'ReLU lets it pass' : 'ReLU makes it', short(Math.max(total, 0)), true]]);
}

/** @param {Context} context @param {Unit} unit */
function dense(context, unit) {
  const { net, pass } = context;
  const layer = below(unit.layer);
  const links = linksFrom(net, pass, unit);
  const valueOf = (/** @type {import('./units.js').Link} */ link) => pass.values[layer][link.unit.index];
  const sum = sumOf(links.map((link) => link.weight * valueOf(link)));
  const bias = net.parameters[/** @type {'f6'} */ (unit.layer)].biases[unit.index];
  const terms = termsTable(context, layer, links, 'value', valueOf);
  if (unit.layer !== 'output') return [terms, reluSum(sum, bias)];
  const p = pass.probabilities[unit.index];
  return [terms, sumTable([['all products', signed(sum)], ['bias', signed(bias)], ['logit', signed(sum + bias), true]]),
    el('p', {}, `Softmax compares the logits of all classes: e to the power of this one, divided by the sum over all, is the probability y = `,
      el('b', {}, percent(p)), '.'),
    el('p', {}, 'If this is the label, the loss is −ln y = ', el('b', {}, short(-Math.log(p))), '.')];
}

/** Whether a unit of C1 or C3 is the winner of its window. @param {Context} context @param {Unit} unit */
function windowParts(context, unit) {
  const { net, pass } = context;
  const window = windowOf(net, unit);
  const isWinner = linksTo(net, pass, unit).length > 0;
  const isSilent = pass.values[window.layer][window.index] === 0;
  const words = isSilent ? 'All four are 0: so is what goes on.'
    : isWinner ? 'It is the winner: its value goes on.' : 'It is not the winner: its value ends here.';
  return [el('h4', {}, 'Its window'), el('p', {}, words), windowTable(context, window, pass.values, unit)];
}

/** @param {Context} context @param {Unit} unit */
function destinations(context, unit) {
  const { net, pass } = context;
  const links = linksTo(net, pass, unit);
  if (links.length === 0) return [];
  const target = above(unit.layer);
  const heading = el('h4', {}, 'Where it goes');
  if (kindOf(target) === 'pooling') return [heading, el('p', {}, 'To ', unitButton(context, links[0].unit), '.')];
  const value = pass.values[unit.layer][unit.index];
  return [heading, el('p', { class: 'soft' }, `It is a term of ${links.length} units of ${titleOf(target)}.`),
    termsTable(context, target, links, 'value', () => value)];
}
