// From a picture to an image as MNIST has them, in the plain way: against the shade of its border.
// @ts-check

import { IMAGE_SIDE } from './net.js';
import { DIGIT_SIDE, MIDDLE } from './strokes.js';

/** @typedef {{ values: Float64Array, width: number, height: number }} Plane */

/** The foreground must differ from the background by this fraction of the full range. */
const MIN_CONTRAST = 0.06;
/** From this value on, of 0 to 1, a pixel belongs to the digit. */
const FOREGROUND_THRESHOLD = 0.3;

/**
 * @param {ArrayLike<number>} rgba
 * @param {number} width
 * @param {number} height
 * @returns {Uint8Array | null} 28x28, 0 (background) to 255 (foreground); null if the picture is a single shade
 */
export function framePicture(rgba, width, height) {
  const foreground = againstBorder(brightness(rgba, width, height));
  return foreground && centred(resized(cropped(foreground)));
}

/**
 * On white, 0 to 1.
 * @param {ArrayLike<number>} rgba
 * @param {number} width
 * @param {number} height
 * @returns {Plane}
 */
function brightness(rgba, width, height) {
  const values = new Float64Array(width * height);
  for (let i = 0; i < values.length; i++) {
    const [red, green, blue, alpha] = [0, 1, 2, 3].map((channel) => rgba[4 * i + channel] / 255);
    values[i] = (0.299 * red + 0.587 * green + 0.114 * blue) * alpha + 1 - alpha;
  }
  return { values, width, height };
}

/**
 * How much each pixel differs from the border's median: what is darker, or what is lighter, whichever differs more.
 * @param {Plane} plane
 * @returns {Plane | null}
 */
function againstBorder({ values, width, height }) {
  const isBorder = (/** @type {number} */ i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return x === 0 || y === 0 || x === width - 1 || y === height - 1;
  };
  const border = values.filter((_, i) => isBorder(i));
  const background = median(border);
  // Grain and shadows stay below three times the median deviation.
  const floor = 3 * median(border.map((value) => Math.abs(value - background)));
  const above = (/** @type {number} */ sign) =>
    values.map((value) => Math.max((value - background) * sign - floor, 0));
  const mass = (/** @type {Float64Array} */ differences) => differences.reduce((sum, value) => sum + value * value, 0);
  const [darker, lighter] = [above(-1), above(1)];
  const foreground = mass(darker) >= mass(lighter) ? darker : lighter;
  const strongest = foreground.reduce((a, b) => Math.max(a, b), 0);
  if (strongest < MIN_CONTRAST) return null;
  return { values: foreground.map((value) => value / strongest), width, height };
}

/** @param {Float64Array} values */
function median(values) {
  return Float64Array.from(values).sort()[values.length >> 1];
}

/** The smallest rectangle around the digit. @param {Plane} plane @returns {Plane} */
function cropped({ values, width, height }) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  values.forEach((value, i) => {
    if (value < FOREGROUND_THRESHOLD) return;
    const [x, y] = [i % width, Math.floor(i / width)];
    [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
  });
  const row = (/** @type {number} */ y) => values.subarray(y * width + left, y * width + right);
  const cut = new Float64Array((right - left) * (bottom - top));
  for (let y = top; y < bottom; y++) cut.set(row(y), (y - top) * (right - left));
  return { values: cut, width: right - left, height: bottom - top };
}

/** Fitted into 20x20 pixels, each the mean of what it covers. @param {Plane} plane @returns {Plane} */
function resized(plane) {
  const scale = DIGIT_SIDE / Math.max(plane.width, plane.height);
  const side = (/** @type {number} */ length) => Math.max(Math.round(length * scale), 1);
  const [width, height] = [side(plane.width), side(plane.height)];
  const values = new Float64Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) values[y * width + x] = meanOf(plane, x / width, y / height, 1 / width, 1 / height);
  }
  const strongest = values.reduce((a, b) => Math.max(a, b), 0);
  return { values: values.map((value) => value / strongest), width, height };
}

/**
 * The mean over a rectangle, given in fractions of the plane.
 * @param {Plane} plane
 * @param {number} left
 * @param {number} top
 * @param {number} width
 * @param {number} height
 */
function meanOf(plane, left, top, width, height) {
  const [x0, x1] = [left * plane.width, (left + width) * plane.width];
  const [y0, y1] = [top * plane.height, (top + height) * plane.height];
  let [sum, area] = [0, 0];
  for (let y = Math.floor(y0); y < Math.min(Math.ceil(y1), plane.height); y++) {
    for (let x = Math.floor(x0); x < Math.min(Math.ceil(x1), plane.width); x++) {
      const covered = (Math.min(x + 1, x1) - Math.max(x, x0)) * (Math.min(y + 1, y1) - Math.max(y, y0));
      sum += covered * plane.values[y * plane.width + x];
      area += covered;
    }
  }
  return sum / area;
}

/** In 28x28 pixels, with its centre of mass in the middle, or as near as its edges allow. @param {Plane} plane */
function centred({ values, width, height }) {
  const mass = values.reduce((a, b) => a + b);
  const mean = (/** @type {(i: number) => number} */ at) => values.reduce((sum, value, i) => sum + value * at(i), 0) / mass;
  const offset = (/** @type {number} */ centre, /** @type {number} */ side) =>
    Math.min(Math.max(Math.round(MIDDLE - centre), 0), IMAGE_SIDE - side);
  const left = offset(mean((i) => (i % width) + 0.5), width);
  const top = offset(mean((i) => Math.floor(i / width) + 0.5), height);
  const image = new Uint8Array(IMAGE_SIDE * IMAGE_SIDE);
  values.forEach((value, i) => {
    image[(top + Math.floor(i / width)) * IMAGE_SIDE + left + (i % width)] = Math.round(value * 255);
  });
  return image;
}
