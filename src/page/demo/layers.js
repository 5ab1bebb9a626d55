// The layers as maps and cells, with the chosen unit and what it is linked to marked in them.
// @ts-check

import { byId, el } from './dom.js';
import { LAYERS } from './net.js';
import { paintScale, rangeScale, signedScale, valueScale } from './paint.js';
import { NAMES, short } from './text.js';
import { above, below, kindOf, placeOf, receptiveField, unitAt, windowOf } from './units.js';
import { createCells, createKernels, createMaps } from './views.js';

/** @typedef {import('./net.js').Net} Net */
/** @typedef {import('./net.js').LayerName} LayerName */
/** @typedef {import('./units.js').Unit} Unit */
/** @typedef {import('./app.js').State} State */
/** @typedef {{ layer: LayerName, map: number, top: number, left: number, size: number, kind: string }} Mark */

/** What a layer does, in each direction. */
const WORDS = {
  input: ['the image, with two pixels of background around it', 'what would change the loss, pixel by pixel'],
  c1: ['5×5 kernels, then ReLU', 'only winners get an error'],
  s2: ['the largest of each 2×2', 'errors from C3 through its kernels, turned round'],
  c3: ['kernels over all six maps, then ReLU', 'only winners get an error'],
  s4: ['the largest of each 2×2', 'errors from C5 through its kernels'],
  c5: ['kernels over all of S4, then ReLU', 'errors from F6 times weights'],
  f6: ['all of C5, then ReLU', 'errors from the output times weights'],
  output: ['all of F6, then softmax', 'y − label'],
};

/**
 * @param {Net} net
 * @param {string[]} classes
 * @param {(unit: Unit, byKey: boolean) => void} choose
 */
export function createLayers(net, classes, choose) {
  const rows = Object.fromEntries(LAYERS.map((layer) => [layer, createRow(net, classes, layer, choose)]));
  const root = byId('layers');

  return {
    /** In the order in which they are computed. @param {State['mode']} mode */
    arrange(mode) {
      const order = mode === 'forward' ? LAYERS : [...LAYERS].reverse();
      root.replaceChildren(...order.map((layer) => rows[layer].root));
      root.className = mode;
      for (const layer of LAYERS) rows[layer].describe(mode);
    },
    /** @param {State} state */
    redraw(state) {
      for (const layer of LAYERS) rows[layer].redraw(state);
    },
    /** @param {State} state */
    mark(state) {
      for (const layer of LAYERS) rows[layer].mark([]);
      const marks = state.pass ? marksOf(net, state) : [];
      for (const layer of LAYERS) rows[layer].mark(marks.filter((mark) => mark.layer === layer));
    },
    /** The row of a layer. @param {LayerName} layer */
    rowOf: (layer) => rows[layer].root,
  };
}

/**
 * What to mark: the units of the trail, the chosen one, what it sees and where it goes.
 * @param {Net} net
 * @param {State} state
 * @returns {Mark[]}
 */
function marksOf(net, { unit, trail }) {
  if (!unit) return [];
  const at = (/** @type {Unit} */ { layer, index }, /** @type {string} */ kind) => {
    const { map, row, column } = placeOf(net, { layer, index });
    return { layer, map, top: row, left: column, size: 1, kind };
  };
  const marks = trail.filter((step) => step.layer !== unit.layer).map((step) => at(step, 'trail'));
  marks.push(at(unit, 'chosen'));
  const kind = kindOf(unit.layer);
  const { map } = placeOf(net, unit);
  const source = below(unit.layer);
  if (kind === 'convolution' && source) {
    for (let sourceMap = 0; sourceMap < net.shapes[source].maps; sourceMap++) {
      marks.push({ layer: source, map: sourceMap, ...receptiveField(net, unit, source), kind: 'patch' });
    }
  }
  if (kind === 'pooling') marks.push({ layer: source, map, ...receptiveField(net, unit, source), kind: 'patch' });
  if (['s2', 'c3', 's4'].includes(unit.layer)) {
    marks.push({ layer: 'input', map: 0, ...receptiveField(net, unit, 'input'), kind: 'field' });
  }
  if (kindOf(above(unit.layer)) === 'pooling') marks.push(at(windowOf(net, unit), 'patch'));
  return marks;
}

/**
 * @param {Net} net
 * @param {string[]} classes
 * @param {LayerName} layer
 * @param {(unit: Unit, byKey: boolean) => void} choose
 */
function createRow(net, classes, layer, choose) {
  const { maps, side } = net.shapes[layer];
  const words = el('p', { class: 'soft' });
  const bar = el('canvas', { width: 64, height: 1, 'aria-hidden': 'true' });
  const low = el('span');
  const high = el('span');
  const scaleLine = el('p', { class: 'scale' }, low, bar, high);
  const shape = side > 1 ? `${maps > 1 ? `${maps} maps of ` : ''}${side}×${side}` : `${maps} units`;
  const view = side > 1 ? createMaps(layer, maps, side) : createCells(layer, maps, classes);
  const kernels = layer === 'c1' || layer === 'c3' ? createKernels(net, layer) : null;
  const root = el('section', { class: 'layer', 'data-layer': layer, 'aria-label': `${NAMES[layer]}: ${shape}` },
    el('div', { class: 'about' }, el('h3', {}, NAMES[layer], el('small', {}, shape)), words, scaleLine),
    el('div', { class: 'units' }, view.root, ...(kernels ? [kernels.root] : [])));

  view.root.setAttribute('role', 'application');
  view.root.setAttribute('tabindex', '0');
  view.root.setAttribute('aria-label', `${NAMES[layer]}, ${shape}. ${side > 1 && maps > 1
    ? 'The arrow keys choose a unit, Page Up and Page Down a map' : 'The arrow keys choose a unit'}; Enter shows it.`);
  /** @type {number | null} */
  let chosen = null;
  /** @type {ArrayLike<number>} */
  let values = [];
  const go = (/** @type {number} */ index, byKey = true) => choose({ layer, index }, byKey);
  view.root.addEventListener('click', (event) => {
    const index = view.indexAt(event);
    if (index !== null) go(index, false);
  });
  view.root.addEventListener('keydown', (event) => {
    const index = chosen ?? strongest(values);
    const next = event.key === 'Enter' ? index : view.step(index, event.key);
    if (next === null) return;
    event.preventDefault();
    go(next);
    if (event.key === 'Enter') byId('inspector').querySelector('h3')?.focus();
  });

  return {
    root,
    /** @param {State['mode']} mode */
    describe(mode) {
      words.textContent = WORDS[layer][mode === 'forward' ? 0 : 1];
      kernels?.describe(mode);
    },
    /** @param {State} state */
    redraw({ pass, back, mode }) {
      root.classList.toggle('blank', !pass);
      values = pass ? (mode === 'backward' && back ? back.errors : pass.values)[layer] : new Float64Array(maps * side * side);
      const isSigned = mode === 'backward' || layer === 'output';
      const scale = isSigned ? signedScale(values) : layer === 'input' ? rangeScale(values) : valueScale(values);
      view.paint(values, scale);
      if (layer === 'output') view.write(pass, mode === 'backward' ? back : null);
      paintScale(bar, scale);
      scaleLine.hidden = !pass;
      low.textContent = short(scale.low);
      high.textContent = short(scale.high);
      kernels?.redraw(mode === 'backward' ? back : null, mode);
    },
    /** @param {Mark[]} marks */
    mark(marks) {
      const own = marks.find((mark) => mark.kind === 'chosen');
      chosen = own ? unitAt(net, layer, { map: own.map, row: own.top, column: own.left }).index : null;
      view.mark(marks);
    },
  };
}

/** @param {ArrayLike<number>} values */
function strongest(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (Math.abs(values[i]) > Math.abs(values[best])) best = i;
  return best;
}
