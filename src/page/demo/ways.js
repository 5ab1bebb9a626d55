// The ways that the inspector follows, from unit to unit.
// @ts-check

import { propagate } from './backward.js';
import { linksFrom, linksTo } from './units.js';

/** @typedef {import('./net.js').Net} Net */
/** @typedef {import('./net.js').Pass} Pass */
/** @typedef {import('./units.js').Unit} Unit */
/** @typedef {import('./units.js').Link} Link */

/** The unit with the largest value. @param {Pass} pass @param {import('./net.js').LayerName} layer @returns {Unit} */
export function strongestUnit(pass, layer) {
  const values = pass.values[layer];
  return { layer, index: values.indexOf(values.reduce((a, b) => Math.max(a, b))) };
}

/**
 * From a unit up to the answer, always to the unit through which it moves the answer's logit most. The way ends early at a
 * unit that does not move it: one that loses its window, or that ReLU closes.
 * @param {Net} net
 * @param {Pass} pass
 * @param {Unit} unit
 */
export function wayUp(net, pass, unit) {
  const answer = pass.probabilities.indexOf(Math.max(...pass.probabilities));
  const { errors: slopes } = propagate(net, pass, pass.probabilities.map((_, index) => (index === answer ? 1 : 0)));
  return way(unit, (at) => linksTo(net, pass, at), ({ unit: next, weight }) => Math.abs(weight * slopes[next.layer][next.index]));
}

/**
 * From a unit down to a pixel, always to the active unit that gets most of the error.
 * @param {Net} net
 * @param {Pass} pass
 * @param {Unit} unit
 */
export function wayDown(net, pass, unit) {
  const isActive = (/** @type {Unit} */ { layer, index }) => layer === 'input' || pass.values[layer][index] > 0;
  return way(unit, (at) => linksFrom(net, pass, at), (link) => (isActive(link.unit) ? Math.abs(link.weight) : 0));
}

/**
 * Always along the link of the largest size, as long as that is above 0.
 * @param {Unit} unit
 * @param {(unit: Unit) => Link[]} linksOf
 * @param {(link: Link) => number} sizeOf
 */
function way(unit, linksOf, sizeOf) {
  const units = [];
  for (let at = unit; ; ) {
    const sizes = linksOf(at).map((link) => ({ unit: link.unit, size: sizeOf(link) }));
    const best = sizes.reduce((a, b) => (b.size > a.size ? b : a), { unit: at, size: 0 });
    if (best.size <= 0) return units;
    at = best.unit;
    units.push(at);
  }
}
