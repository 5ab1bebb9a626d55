// What the inspector shows of several units at once: patches, sums and windows, with their numbers.
// @ts-check

import { button, el } from './dom.js';
import { KERNEL, TAPS } from './net.js';
import { colourOf, paint, signedScale, valueScale } from './paint.js';
import { NAMES, scaledTo, short, shortNameOf, signed, titleOf } from './text.js';
import { membersOf } from './units.js';

/** @typedef {import('./net.js').Net} Net */
/** @typedef {import('./net.js').Pass} Pass */
/** @typedef {import('./net.js').LayerName} LayerName */
/** @typedef {import('./units.js').Unit} Unit */
/** @typedef {import('./units.js').Link} Link */
/** @typedef {import('./paint.js').Scale} Scale */
/**
 * @typedef {object} Context what the inspector knows when it shows a unit
 * @property {Net} net
 * @property {string[]} classes
 * @property {Pass} pass
 * @property {import('./backward.js').Backward | null} back
 * @property {number} label
 * @property {(unit: Unit) => void} step goes on to another unit
 * @property {number | null} source which of the maps below is shown with its numbers; null for the one that counts most
 * @property {(map: number) => void} chooseSource
 */

/** How many terms of a sum are listed; the others are added up. */
const LISTED = 6;

/** A button that leads to a unit. @param {Context} context @param {Unit} unit */
export function unitButton({ net, classes, step }, unit) {
  return button(shortNameOf(net, classes, unit), () => step(unit), { class: 'link' });
}

/** Colours an element by a value. @param {HTMLElement} element @param {number} value @param {Scale} scale */
export function tint(element, value, scale) {
  const { colour, dark } = colourOf(value, scale);
  element.style.backgroundColor = colour;
  element.classList.add(dark ? 'light-text' : 'dark-text');
}

/** @param {number[]} values */
export function sumOf(values) {
  return values.reduce((sum, value) => sum + value, 0);
}

/**
 * 5x5 numbers. Small ones are shown as multiples of a power of ten, which is in the caption.
 * @param {string} caption
 * @param {number[]} values
 * @param {Scale} scale
 * @param {string} sign what is written before it
 */
export function matrix(caption, values, scale, sign = '') {
  const { power, format } = scaledTo(values);
  const rows = Array.from({ length: KERNEL }, (_, row) =>
    el('tr', {}, ...values.slice(row * KERNEL, (row + 1) * KERNEL).map((value) => {
      const cell = el('td', { title: String(value) }, format(value));
      tint(cell, value, scale);
      return cell;
    })));
  return el('table', { class: 'matrix' },
    el('caption', {}, ...(sign ? [el('b', {}, sign)] : []), caption, ...(power ? [` · ${power}`] : [])), el('tbody', {}, ...rows));
}

/** Names and values below each other. @param {[name: string, value: string, isTotal?: boolean][]} lines */
export function sumTable(lines) {
  const rows = lines.map(([name, value, isTotal]) =>
    el('tr', isTotal ? { class: 'total' } : {}, el('th', { scope: 'row' }, name), el('td', {}, value)));
  return el('table', { class: 'sum' }, el('tbody', {}, ...rows));
}

/**
 * The largest terms of a sum over links: what is at the other end, times the weight.
 * @param {Context} context
 * @param {LayerName} layer at the other end
 * @param {Link[]} links
 * @param {string} what
 * @param {(link: Link) => number} valueOf
 */
export function termsTable(context, layer, links, what, valueOf) {
  const terms = links.map((link) => ({ link, value: valueOf(link), product: valueOf(link) * link.weight }));
  terms.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
  const scale = signedScale(terms.map(({ product }) => product));
  const listed = terms.length <= LISTED + 1 ? terms : terms.slice(0, LISTED);
  const rows = listed.map(({ link, value, product }) => {
    const cell = el('td', {}, signed(product));
    tint(cell, product, scale);
    return el('tr', {}, el('th', { scope: 'row' }, unitButton(context, link.unit)), el('td', {}, short(value)),
      el('td', {}, short(link.weight)), cell);
  });
  const others = terms.slice(listed.length).map(({ product }) => product);
  if (others.length > 0) {
    rows.push(el('tr', {}, el('th', { scope: 'row' }, `${others.length} others`), el('td'), el('td'), el('td', {}, signed(sumOf(others)))));
  }
  return table([NAMES[layer], what, '× weight', '= product'], rows);
}

/** @param {string[]} heads @param {HTMLElement[]} rows */
export function table(heads, rows) {
  const cells = heads.map((head) => el('th', { scope: 'col' }, head));
  return el('table', { class: 'terms' }, el('thead', {}, el('tr', {}, ...cells)), el('tbody', {}, ...rows));
}

/**
 * The four units of a pooled unit's window, with the winner marked.
 * @param {Context} context
 * @param {Unit} window
 * @param {Pass['values']} values of all layers, or errors
 * @param {Unit | null} own the one of the four that is being explained
 */
export function windowTable({ net, classes, pass, step }, window, values, own = null) {
  const members = membersOf(net, window);
  const shown = members.map((member) => values[member.layer][member.index]);
  const scale = values === pass.values ? valueScale(shown) : signedScale(shown);
  const winner = pass.winners[/** @type {'s2'} */ (window.layer)][window.index];
  const cell = (/** @type {number} */ i) => {
    const isWinner = members[i].index === winner;
    const label = `${shortNameOf(net, classes, members[i])}: ${short(shown[i])}${isWinner ? ', the winner' : ''}`;
    const element = el('td', { class: isWinner ? 'winner' : '' },
      button(short(shown[i]), () => step(members[i]), { class: 'link', 'aria-label': label }));
    if (isWinner) element.append(el('small', { 'aria-hidden': 'true' }, 'winner'));
    if (own?.index === members[i].index) element.dataset.own = '';
    tint(element, shown[i], scale);
    return element;
  };
  return el('table', { class: 'window' }, el('tbody', {}, el('tr', {}, cell(0), cell(1)), el('tr', {}, cell(2), cell(3))));
}

/**
 * A button for each map below with two 5x5 squares and the sum of the second; the numbers of the chosen one are shown.
 * @param {Context} context
 * @param {LayerName} layer
 * @param {[values: number[], scale: Scale][]} squares
 * @param {number[]} counted
 * @param {string} what
 */
export function sourceStrip({ net, source, chooseSource }, layer, squares, counted, what) {
  const { maps } = net.shapes[layer];
  const sums = Array.from({ length: maps }, (_, map) => sumOf(counted.slice(map * TAPS, (map + 1) * TAPS)));
  const weightiest = sums.reduce((best, sum, map) => (Math.abs(sum) > Math.abs(sums[best]) ? map : best), 0);
  const at = source ?? weightiest;
  if (maps === 1) return { at, parts: [] };
  const buttons = sums.map((sum, map) => {
    const element = button('', () => chooseSource(map), {
      'data-source': map, 'aria-pressed': String(map === at), 'aria-label': `${titleOf(layer)} map ${map + 1}: ${signed(sum)}` });
    for (const [values, scale] of squares) {
      const canvas = el('canvas', { width: KERNEL, height: KERNEL, 'aria-hidden': 'true' });
      paint(canvas, values.slice(map * TAPS, (map + 1) * TAPS), scale);
      element.append(canvas);
    }
    element.append(el('span', {}, signed(sum)));
    return element;
  });
  const words = `From each map of ${titleOf(layer)}: the patch, ${what}. Below are the numbers of map ${at + 1}.`;
  return { at, parts: [el('p', {}, words), el('div', { class: 'sources' }, ...buttons)] };
}
