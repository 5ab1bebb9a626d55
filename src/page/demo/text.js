// Numbers and units in words.
// @ts-check

import { placeOf } from './units.js';

/** @typedef {import('./net.js').Net} Net */
/** @typedef {import('./units.js').Unit} Unit */

/** A typographic minus, so that columns of numbers align. @param {string} text */
const minus = (text) => text.replaceAll('-', '\u2212');

/** A probability in percent; one that is nearly 0 or 1 is not shown as if it were. @param {number} p */
export function percent(p) {
  if (p > 0.999) return '>99.9\u00a0%';
  if (p < 0.001) return '<0.1\u00a0%';
  return `${(p * 100).toFixed(1)}\u00a0%`;
}

/** About three digits. @param {number} value */
export function short(value) {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size < 0.0005) return minus(value.toExponential(0));
  if (size < 0.095) return minus(value.toFixed(3));
  return minus(value.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0));
}

/** With its sign. @param {number} value */
export function signed(value) {
  return value > 0 ? `+${short(value)}` : short(value);
}

/**
 * How to write a few numbers in little space: as multiples of a power of ten if all are small.
 * @param {number[]} values
 */
export function scaledTo(values) {
  const size = Math.max(...values.map(Math.abs));
  const exponent = size > 0 && size < 0.1 ? Math.floor(Math.log10(size)) : 0;
  const digits = String(-exponent).replace(/./g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]);
  const format = (/** @type {number} */ value) => {
    const scaled = value / 10 ** exponent;
    if (value === 0) return '0';
    return minus(scaled.toFixed(Math.abs(scaled) < 9.995 ? 2 : Math.abs(scaled) < 99.95 ? 1 : 0).replace(/^(-?)0\./, '$1.'));
  };
  return { power: exponent === 0 ? '' : `10⁻${digits}`, format };
}

export const NAMES = {
  input: 'Input', c1: 'C1', s2: 'S2', c3: 'C3', s4: 'S4', c5: 'C5', f6: 'F6', output: 'Output',
};

/**
 * A unit's name; maps, rows and columns are counted from 1.
 * @param {Net} net
 * @param {string[]} classes
 * @param {Unit} unit
 */
export function nameOf(net, classes, unit) {
  const { layer, index } = unit;
  if (layer === 'output') return `Output ${classes[index]}`;
  if (net.shapes[layer].side === 1) return `${NAMES[layer]} unit ${index + 1}`;
  const { map, row, column } = placeOf(net, unit);
  const at = `row ${row + 1}, column ${column + 1}`;
  return layer === 'input' ? `Pixel ${at}` : `${NAMES[layer]} map ${map + 1}, ${at}`;
}

/** The same in as few characters as possible. @param {Net} net @param {string[]} classes @param {Unit} unit */
export function shortNameOf(net, classes, unit) {
  const { layer, index } = unit;
  if (layer === 'output') return `output ${classes[index]}`;
  if (net.shapes[layer].side === 1) return `${NAMES[layer]} ${index + 1}`;
  const { map, row, column } = placeOf(net, unit);
  const at = `${row + 1},${column + 1}`;
  return layer === 'input' ? `pixel ${at}` : `${NAMES[layer]} ${map + 1} (${at})`;
}

/** A layer in a sentence. @param {import('./net.js').LayerName} layer */
export function titleOf(layer) {
  return layer === 'output' ? 'the output' : NAMES[layer];
}
