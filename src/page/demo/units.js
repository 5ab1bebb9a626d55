// The links between units: what a unit is made of, and where it goes. The inspector follows them in both directions.
// @ts-check

import { KERNEL, LAYERS } from './net.js';

/** @typedef {import('./net.js').Net} Net */
/** @typedef {import('./net.js').Pass} Pass */
/** @typedef {import('./net.js').LayerName} LayerName */
/** @typedef {{ layer: LayerName, index: number }} Unit */
/** @typedef {{ map: number, row: number, column: number }} Place */
/**
 * @typedef {object} Link from a unit to one in the next layer
 * @property {Unit} unit the unit at the other end
 * @property {number} weight
 * @property {number} parameter the weight's index among its layer's weights; -1 for pooling, which has none
 */

/**
 * @param {Net} net
 * @param {Unit} unit
 * @returns {Place} from 0
 */
export function placeOf(net, { layer, index }) {
  const { side } = net.shapes[layer];
  return { map: Math.floor(index / (side * side)), row: Math.floor(index / side) % side, column: index % side };
}

/**
 * @param {Net} net
 * @param {LayerName} layer
 * @param {Place} place
 * @returns {Unit}
 */
export function unitAt(net, layer, { map, row, column }) {
  const { side } = net.shapes[layer];
  return { layer, index: (map * side + row) * side + column };
}

/** @param {LayerName} layer */
export function below(layer) {
  return LAYERS[LAYERS.indexOf(layer) - 1];
}

/** @param {LayerName} layer */
export function above(layer) {
  return LAYERS[LAYERS.indexOf(layer) + 1];
}

/** How a layer computes its units from those below. @param {LayerName} layer @returns {'input' | 'convolution' | 'pooling' | 'dense'} */
export function kindOf(layer) {
  if (layer === 'input') return 'input';
  if (layer === 's2' || layer === 's4') return 'pooling';
  return layer === 'f6' || layer === 'output' ? 'dense' : 'convolution';
}

/**
 * The links from the layer below, in the order of the weights. Of a pooled unit, only the one from the winner.
 * @param {Net} net
 * @param {Pass} pass
 * @param {Unit} unit
 * @returns {Link[]}
 */
export function linksFrom(net, pass, unit) {
  const { layer, index } = unit;
  if (layer === 'input') return [];
  const source = below(layer);
  if (layer === 's2' || layer === 's4') {
    return [{ unit: { layer: source, index: pass.winners[layer][index] }, weight: 1, parameter: -1 }];
  }
  const { weights } = net.parameters[/** @type {'c1'} */ (layer)];
  const { maps, side } = net.shapes[source];
  const { map, row, column } = placeOf(net, unit);
  // A dense layer is a convolution of one tap over maps of one unit.
  const kernel = kindOf(layer) === 'dense' ? 1 : KERNEL;
  const links = [];
  let parameter = map * maps * kernel * kernel;
  for (let sourceMap = 0; sourceMap < maps; sourceMap++) {
    for (let i = 0; i < kernel; i++) {
      for (let j = 0; j < kernel; j++, parameter++) {
        const at = (sourceMap * side + row + i) * side + column + j;
        links.push({ unit: { layer: source, index: at }, weight: weights[parameter], parameter });
      }
    }
  }
  return links;
}

/**
 * The links to the layer above. To a pooled unit there is one only if this unit is the winner of its window.
 * @param {Net} net
 * @param {Pass} pass
 * @param {Unit} unit
 * @returns {Link[]}
 */
export function linksTo(net, pass, unit) {
  const target = above(unit.layer);
  if (!target) return [];
  const { map, row, column } = placeOf(net, unit);
  if (target === 's2' || target === 's4') {
    const window = windowOf(net, unit);
    return pass.winners[target][window.index] === unit.index ? [{ unit: window, weight: 1, parameter: -1 }] : [];
  }
  const { weights } = net.parameters[/** @type {'c1'} */ (target)];
  const { maps, side } = net.shapes[target];
  const sources = net.shapes[unit.layer].maps;
  const kernel = kindOf(target) === 'dense' ? 1 : KERNEL;
  const links = [];
  for (let targetMap = 0; targetMap < maps; targetMap++) {
    for (let i = 0; i < kernel; i++) {
      for (let j = 0; j < kernel; j++) {
        const [y, x] = [row - i, column - j];
        if (y < 0 || x < 0 || y >= side || x >= side) continue;
        const parameter = ((targetMap * sources + map) * kernel + i) * kernel + j;
        links.push({ unit: unitAt(net, target, { map: targetMap, row: y, column: x }), weight: weights[parameter], parameter });
      }
    }
  }
  return links;
}

/**
 * The pooled unit of the window that a unit of C1 or C3 is in.
 * @param {Net} net
 * @param {Unit} unit
 */
export function windowOf(net, unit) {
  const { map, row, column } = placeOf(net, unit);
  return unitAt(net, above(unit.layer), { map, row: row >> 1, column: column >> 1 });
}

/**
 * The four units of a pooled unit's window.
 * @param {Net} net
 * @param {Unit} unit
 */
export function membersOf(net, unit) {
  const { map, row, column } = placeOf(net, unit);
  return [0, 1, 2, 3].map((i) =>
    unitAt(net, below(unit.layer), { map, row: 2 * row + (i >> 1), column: 2 * column + (i & 1) }));
}

/**
 * The rectangle of a lower layer's maps that a unit depends on, from 0; it spans all maps.
 * @param {Net} net
 * @param {Unit} unit
 * @param {LayerName} layer
 */
export function receptiveField(net, unit, layer) {
  let { row: top, column: left } = placeOf(net, unit);
  let size = 1;
  for (let at = unit.layer; at !== layer; at = below(at)) {
    const kind = kindOf(at);
    if (kind === 'pooling') [top, left, size] = [2 * top, 2 * left, 2 * size];
    if (kind === 'convolution') size += KERNEL - 1;
  }
  return { top, left, size };
}
