// The page: what is drawn, what the net makes of it, and what is chosen.
// @ts-check

import { createAnswer } from './answer.js';
import { backward } from './backward.js';
import { byId, el } from './dom.js';
import { createFeedback } from './feedback.js';
import { createInspector } from './inspector.js';
import { createLayers } from './layers.js';
import { IMAGE_SIDE, forward, readNet } from './net.js';
import { createPad } from './pad.js';
import { paint, readTheme } from './paint.js';
import { framePicture } from './picture.js';
import { createExamples, listenForPictures } from './sources.js';
import { rasterize } from './strokes.js';
import { nameOf, short } from './text.js';
import { strongestUnit, wayDown, wayUp } from './ways.js';

/** @typedef {import('./units.js').Unit} Unit */
/**
 * @typedef {object} State
 * @property {Uint8Array | null} pixels 28x28, 0 (background) to 255 (foreground); null if nothing is drawn
 * @property {import('./net.js').Pass | null} pass
 * @property {import('./backward.js').Backward | null} back
 * @property {number} label of the backward pass
 * @property {'forward' | 'backward'} mode
 * @property {Unit | null} unit the chosen one
 * @property {Unit[]} trail the units that led to it, and itself
 */
/**
 * @typedef {object} Data
 * @property {string[]} classes
 * @property {{ slope: number, background: number }} scale
 * @property {number} sure from this probability on, an answer counts as sure
 * @property {number} noClass below this probability, it is none of the classes
 * @property {{ pixels: string, label: number, misread_as: number | null }[]} examples
 * @property {boolean} feedback whether the page's service takes corrections
 * @property {string} parameters
 */

/** A drawing below this fraction of the pad's side is a dot. */
const DOT = 0.03;
/** Milliseconds without a change before an answer is spoken. */
const PAUSE = 700;
/** On such a page, a unit is explained below its layer. */
const NARROW = '(max-width: 63rem)';

const INTROS = {
  forward: 'Each layer is computed from the one above it. The larger a unit, the stronger its shade; the numbers are the ends of the scale. '
    + 'Choose any unit to see what it is made of.',
  backward: 'The error begins at the output and goes back layer by layer: the derivative of the loss with respect to each unit. '
    + 'Orange: less of it would lower the loss. Blue: more of it would.',
};

/** @type {Data} */
const data = JSON.parse(byId('data').textContent ?? '');
const { classes } = data;
const net = readNet(data.parameters, classes.length, data.scale);
/** @type {State} */
const state = { pixels: null, pass: null, back: null, label: 0, mode: 'forward', unit: null, trail: [] };
const narrow = matchMedia(NARROW);
let frame = 0;
let pause = 0;

const say = (/** @type {string} */ text) => {
  byId('spoken').textContent = text;
};
const complain = (/** @type {string} */ text) => {
  byId('complaint').textContent = text;
};

const pad = createPad((drawing) => {
  complain('');
  state.pixels = drawing.image ?? rasterize(drawing.strokes, DOT);
  // Of several changes within a frame, only the last one is shown.
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(update);
}, say);
const answer = createAnswer(net, data, reveal);
const layers = createLayers(net, classes, (unit, byKey) => {
  choose([unit]);
  if (byKey && state.pass) say(`${nameOf(net, classes, unit)}: ${short(valueOf(unit))}`);
});
const inspector = createInspector(net, classes, {
  choose: (unit) => choose([unit]),
  step: (unit) => choose([...state.trail, unit], true),
  back: (index) => choose(state.trail.slice(0, index + 1), true),
  follow: () => {
    const { unit, pass, mode } = state;
    if (unit && pass) choose([...state.trail, ...(mode === 'forward' ? wayUp(net, pass, unit) : wayDown(net, pass, unit))], true);
  },
});
const examples = createExamples(data, showImage);
const feedback = data.feedback ? createFeedback(classes, () => state.pixels) : null;

/** The value or, in the backward pass, the error that the layers show of a unit. @param {Unit} unit */
function valueOf({ layer, index }) {
  return (state.back?.errors ?? state.pass?.values)?.[layer][index] ?? 0;
}

/** Computes everything for what is on the pad, and shows it. */
function update() {
  state.pass = state.pixels && forward(net, state.pixels);
  state.back = state.pass && state.mode === 'backward' ? backward(net, state.pass, state.label) : null;
  const seen = /** @type {HTMLCanvasElement} */ (byId('seen'));
  paint(seen, state.pixels ?? new Uint8Array(IMAGE_SIDE ** 2), { kind: 'value', low: 0, high: 255 });
  answer.redraw(state.pass);
  layers.redraw(state);
  showChosen();
  showLoss();
  feedback?.redraw();
  clearTimeout(pause);
  pause = setTimeout(() => say(answer.spoken(state.pass)), PAUSE);
}

/** @param {Unit[]} trail @param {boolean} [focus] whether to go on reading at the unit's name */
function choose(trail, focus = false) {
  state.trail = trail;
  state.unit = trail[trail.length - 1] ?? null;
  showChosen();
  if (focus) byId('inspector').querySelector('h3')?.focus();
}

function showChosen() {
  inspector.show(state);
  layers.mark(state);
  const home = /** @type {HTMLElement} */ (byId('layers').parentElement);
  const parent = narrow.matches && state.unit ? layers.rowOf(state.unit.layer) : home;
  if (byId('inspector').parentElement !== parent) parent.append(byId('inspector'));
}

function showLoss() {
  const { back, pass, label } = state;
  byId('loss').hidden = !back;
  if (!back || !pass) return;
  const y = pass.probabilities[label];
  byId('loss').replaceChildren('loss = −ln y', el('sub', {}, classes[label]), ` = −ln ${short(y)} = `, el('b', {}, short(back.loss)));
}

/** Chooses a unit from outside the layers, and brings it into view. @param {Unit} unit */
function reveal(unit) {
  if (state.mode !== 'forward') setMode('forward');
  choose([unit], true);
  layers.rowOf(unit.layer).scrollIntoView({ block: 'center' });
}

/** @param {State['mode']} mode */
function setMode(mode) {
  state.mode = mode;
  check('modes', ['forward', 'backward'].indexOf(mode));
  byId('labels').hidden = mode === 'forward';
  byId('intro').textContent = INTROS[mode];
  layers.arrange(mode);
  update();
}

/** @param {number} label */
function setLabel(label) {
  state.label = label;
  check('labels', label);
}

/** Checks one of the radio buttons of a group. @param {string} group @param {number} index */
function check(group, index) {
  /** @type {NodeListOf<HTMLInputElement>} */ (byId(group).querySelectorAll('input')).forEach((input, i) => {
    input.checked = i === index;
  });
}

/** @param {Uint8Array} pixels @param {number | null} label */
function showImage(pixels, label) {
  if (label !== null) setLabel(label);
  pad.showImage(pixels);
}

function createChoices() {
  byId('labels').append(...classes.map((name, index) =>
    el('label', {}, el('input', { type: 'radio', name: 'label', value: index }), el('span', {}, name))));
  byId('modes').addEventListener('change', (event) =>
    setMode(/** @type {State['mode']} */ (/** @type {HTMLInputElement} */ (event.target).value)));
  byId('labels').addEventListener('change', (event) => {
    setLabel(Number(/** @type {HTMLInputElement} */ (event.target).value));
    update();
  });
}

function start() {
  readTheme();
  createChoices();
  setLabel(0);
  setMode('forward');
  examples.redraw();
  examples.showFirst();
  update();
  if (state.pass && !narrow.matches) choose([strongestUnit(state.pass, 'c1')]);
  listenForPictures(showImage, complain);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    readTheme();
    examples.redraw();
    pad.redraw();
    update();
  });
  narrow.addEventListener('change', showChosen);
}

start();
// For the console.
Object.assign(globalThis, { lenet: { net, state, forward, backward, rasterize, framePicture } });
