// A layer's units as maps or cells, and its kernels.
// @ts-check

import { el } from './dom.js';
import { KERNEL, TAPS } from './net.js';
import { colourOf, paint, signedScale } from './paint.js';
import { NAMES, percent, short, signed } from './text.js';
import { below } from './units.js';

/** @typedef {import('./net.js').LayerName} LayerName */
/** @typedef {import('./app.js').State} State */
/** @typedef {import('./layers.js').Mark} Mark */

/**
 * A canvas for each map, with a pixel for each unit.
 * @param {LayerName} layer
 * @param {number} maps
 * @param {number} side
 */
export function createMaps(layer, maps, side) {
  const canvases = Array.from({ length: maps }, () => el('canvas', { width: side, height: side, 'aria-hidden': 'true' }));
  const frames = canvases.map((canvas, map) => el('div', { class: 'map', title: `${NAMES[layer]} map ${map + 1}` }, canvas));
  const perMap = side * side;
  return {
    root: el('div', { class: 'maps' }, ...frames),
    write() {},
    /** @param {ArrayLike<number>} values @param {import('./paint.js').Scale} scale */
    paint(values, scale) {
      canvases.forEach((canvas, map) => paint(canvas, Array.prototype.slice.call(values, map * perMap, (map + 1) * perMap), scale));
    },
    /** @param {Mark[]} marks */
    mark(marks) {
      frames.forEach((frame, map) => {
        frame.querySelectorAll('i').forEach((old) => old.remove());
        for (const mark of marks.filter((mark) => mark.map === map)) {
          const box = el('i', { class: mark.kind });
          box.style.top = `${(100 * mark.top) / side}%`;
          box.style.left = `${(100 * mark.left) / side}%`;
          box.style.width = box.style.height = `${(100 * mark.size) / side}%`;
          frame.append(box);
        }
      });
    },
    /** @param {MouseEvent} event */
    indexAt(event) {
      const map = frames.findIndex((frame) => frame.contains(/** @type {Node} */ (event.target)));
      if (map < 0) return null;
      const box = canvases[map].getBoundingClientRect();
      const cell = (/** @type {number} */ at) => Math.min(Math.max(Math.floor(at * side), 0), side - 1);
      const [row, column] = [cell((event.clientY - box.top) / box.height), cell((event.clientX - box.left) / box.width)];
      return map * perMap + row * side + column;
    },
    /** @param {number} index @param {string} key */
    step(index, key) {
      const [map, row, column] = [Math.floor(index / perMap), Math.floor(index / side) % side, index % side];
      if (key === 'ArrowLeft') return column > 0 ? index - 1 : index;
      if (key === 'ArrowRight') return column < side - 1 ? index + 1 : index;
      if (key === 'ArrowUp') return row > 0 ? index - side : index;
      if (key === 'ArrowDown') return row < side - 1 ? index + side : index;
      if (key === 'PageUp') return map > 0 ? index - perMap : index;
      if (key === 'PageDown') return map < maps - 1 ? index + perMap : index;
      return null;
    },
  };
}

/**
 * A cell for each unit; those of the output have their class and value written on them.
 * @param {LayerName} layer
 * @param {number} count
 * @param {string[]} classes
 */
export function createCells(layer, count, classes) {
  const isOutput = layer === 'output';
  const cells = Array.from({ length: count }, (_, i) =>
    isOutput ? el('span', {}, el('b', {}, classes[i]), el('small'), el('small')) : el('span', { title: `${NAMES[layer]} unit ${i + 1}` }));
  const root = el('div', { class: 'cells' }, ...cells);
  return {
    root,
    /** @param {ArrayLike<number>} values @param {import('./paint.js').Scale} scale */
    paint(values, scale) {
      cells.forEach((cell, i) => {
        const { colour, dark } = colourOf(values[i], scale);
        cell.style.backgroundColor = colour;
        if (isOutput) cell.className = dark ? 'light-text' : 'dark-text';
      });
    },
    /** Logit and probability, or y - label. @param {State['pass']} pass @param {State['back']} back */
    write(pass, back) {
      cells.forEach((cell, i) => {
        const [first, second] = cell.querySelectorAll('small');
        const y = pass?.probabilities[i] ?? 0;
        const error = back?.errors.output[i] ?? 0;
        first.textContent = back ? `${y.toFixed(2)} − ${Math.round(y - error)}` : pass ? short(pass.values.output[i]) : '';
        second.textContent = back ? signed(error) : pass ? percent(y) : '';
      });
    },
    /** @param {Mark[]} marks */
    mark(marks) {
      cells.forEach((cell) => delete cell.dataset.mark);
      marks.forEach((mark) => (cells[mark.map].dataset.mark = mark.kind));
    },
    /** @param {MouseEvent} event */
    indexAt(event) {
      const index = cells.findIndex((cell) => cell.contains(/** @type {Node} */ (event.target)));
      return index < 0 ? null : index;
    },
    /** @param {number} index @param {string} key */
    step(index, key) {
      const columns = getComputedStyle(root).gridTemplateColumns.split(' ').length;
      const steps = /** @type {Record<string, number>} */ ({ ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns });
      if (!(key in steps)) return null;
      const next = index + steps[key];
      return next >= 0 && next < count ? next : index;
    },
  };
}

/**
 * A layer's kernels, or their gradients: a column for each of its maps, a row for each map below.
 * @param {import('./net.js').Net} net
 * @param {'c1' | 'c3'} layer
 */
export function createKernels(net, layer) {
  const sources = net.shapes[below(layer)].maps;
  const { maps } = net.shapes[layer];
  const tiles = Array.from({ length: maps * sources }, () => el('canvas', { width: KERNEL, height: KERNEL }));
  const columns = Array.from({ length: maps }, (_, map) =>
    el('span', {}, ...tiles.slice(map * sources, (map + 1) * sources)));
  const caption = el('summary');
  const root = el('details', { class: 'kernels', 'data-kernels': layer }, caption, el('div', { 'aria-hidden': 'true' }, ...columns));
  return {
    root,
    /** @param {State['mode']} mode */
    describe(mode) {
      root.open = mode === 'backward' || layer === 'c1';
    },
    /** @param {State['back']} back @param {State['mode']} mode */
    redraw(back, mode) {
      const values = mode === 'backward' ? back?.gradients[layer].weights : net.parameters[layer].weights;
      const shown = values ?? new Float32Array(tiles.length * TAPS);
      const scale = signedScale(shown);
      tiles.forEach((tile, i) => paint(tile, shown.subarray(i * TAPS, (i + 1) * TAPS), scale));
      const what = mode === 'forward' ? 'its kernels' : 'the gradients of its kernels';
      caption.textContent = `${what}, ${short(scale.low)} to ${short(scale.high)}`;
    },
  };
}
