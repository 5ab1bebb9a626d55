// The chosen unit with all its numbers, and the way that led to it.
// @ts-check

import { button, byId, el } from './dom.js';
import { explainBackward } from './explain-backward.js';
import { explainForward } from './explain-forward.js';
import { nameOf, shortNameOf } from './text.js';
import { below, linksTo, placeOf, unitAt } from './units.js';

/** @typedef {import('./units.js').Unit} Unit */
/** @typedef {import('./app.js').State} State */

/**
 * @param {import('./net.js').Net} net
 * @param {string[]} classes
 * @param {{ choose: (unit: Unit) => void, step: (unit: Unit) => void, back: (index: number) => void, follow: () => void }} actions
 */
export function createInspector(net, classes, actions) {
  const root = byId('inspector');
  /** Of which map below a convolution's numbers are shown, as long as the unit stays the same. @type {number | null} */
  let source = null;
  /** @type {Unit | null} */
  let shown = null;

  /** @param {State} state */
  const show = (state) => {
    const { unit } = state;
    if (unit?.layer !== shown?.layer || unit?.index !== shown?.index) source = null;
    shown = unit;
    root.replaceChildren(...content(state));
  };

  /** @param {State} state @returns {HTMLElement[]} */
  const content = (state) => {
    const { unit, pass, back, mode, label, trail } = state;
    if (!pass || !unit) {
      const first = pass ? 'Choose' : 'Draw something, then choose';
      return [el('p', { class: 'soft' }, `${first} a unit in any layer, with mouse, finger, or Tab and the arrow keys: here are all the numbers that it is made of.`)];
    }
    const chooseSource = (/** @type {number} */ map) => {
      source = map;
      show(state);
      /** @type {HTMLElement | null} */ (root.querySelector(`[data-source="${map}"]`))?.focus();
    };
    const context = { net, classes, pass, back, label, step: actions.step, source, chooseSource };
    const isBackward = mode === 'backward' && back;
    return [
      ...way(trail),
      el('h3', { tabindex: -1 }, nameOf(net, classes, unit)),
      ...neighbours(unit),
      ...(isBackward ? explainBackward({ ...context, back }, unit) : explainForward(context, unit)),
      ...(isBackward
        ? (below(unit.layer) && back.errors[unit.layer][unit.index] !== 0 ? [followButton('Follow the error down to a pixel')] : [])
        : (linksTo(net, pass, unit).length > 0 ? [followButton('Follow it to the answer')] : [])),
    ];
  };

  const followButton = (/** @type {string} */ text) => button(text, actions.follow, { class: 'follow' });

  /** For fingers, which are larger than units. @param {Unit} unit */
  const neighbours = (unit) => {
    const { side } = net.shapes[unit.layer];
    const { map, row, column } = placeOf(net, unit);
    if (side === 1) return [];
    const to = (/** @type {string} */ text, /** @type {string} */ label, /** @type {number} */ down, /** @type {number} */ right) => {
      const [y, x] = [row + down, column + right];
      const isInside = y >= 0 && x >= 0 && y < side && x < side;
      const element = button(text, () => actions.choose(unitAt(net, unit.layer, { map, row: y, column: x })), { 'aria-label': label });
      element.disabled = !isInside;
      return element;
    };
    return [el('div', { class: 'neighbours', role: 'group', 'aria-label': 'Neighbours' },
      to('←', 'left', 0, -1), to('→', 'right', 0, 1), to('↑', 'up', -1, 0), to('↓', 'down', 1, 0))];
  };

  /** The units that led here, each a way back. @param {Unit[]} trail */
  const way = (trail) => {
    if (trail.length < 2) return [];
    const steps = trail.map((unit, i) => el('li', {}, button(shortNameOf(net, classes, unit), () => actions.back(i),
      i === trail.length - 1 ? { 'aria-current': 'step' } : {})));
    return [el('ol', { class: 'trail', 'aria-label': 'The way here' }, ...steps)];
  };

  return { show };
}
