// Values as colours. Values of units are shades of ink; where the sign matters, blue is negative and orange positive.
// @ts-check

/** @typedef {{ kind: 'value' | 'signed', low: number, high: number }} Scale from the value of the first colour to the last */
/** @typedef {Uint8ClampedArray} Ramp 256 colours, RGB */

/** @type {{ value: Ramp, signed: Ramp }} */
let ramps = { value: new Uint8ClampedArray(768), signed: new Uint8ClampedArray(768) };

/** Reads the theme's colours from the style sheet; to be called again when the theme changes. */
export function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (/** @type {string} */ name) => {
    const hex = style.getPropertyValue(name).trim().slice(1);
    return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
  };
  ramps = {
    value: ramp(['--map-0', '--map-1', '--map-2'].map(colour)),
    signed: ramp(['--negative-2', '--negative-1', '--map-0', '--positive-1', '--positive-2'].map(colour)),
  };
}

/** @param {number[][]} stops */
function ramp(stops) {
  const colours = new Uint8ClampedArray(768);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (stops.length - 1);
    const from = Math.min(Math.floor(at), stops.length - 2);
    for (let c = 0; c < 3; c++) {
      colours[3 * i + c] = stops[from][c] + (stops[from + 1][c] - stops[from][c]) * (at - from);
    }
  }
  return colours;
}

/** The scale of values that are not negative. @param {ArrayLike<number>} values @returns {Scale} */
export function valueScale(values) {
  return { kind: 'value', low: 0, high: Math.max(largest(values), 1e-12) };
}

/** A scale around zero. @param {ArrayLike<number>} values @returns {Scale} */
export function signedScale(values) {
  const size = Math.max(largest(values), -smallest(values), 1e-12);
  return { kind: 'signed', low: -size, high: size };
}

/** From the smallest to the largest. @param {ArrayLike<number>} values @returns {Scale} */
export function rangeScale(values) {
  const low = smallest(values);
  return { kind: 'value', low, high: Math.max(largest(values), low + 1e-12) };
}

/** @param {ArrayLike<number>} values */
function largest(values) {
  let result = -Infinity;
  for (let i = 0; i < values.length; i++) if (values[i] > result) result = values[i];
  return result;
}

/** @param {ArrayLike<number>} values */
function smallest(values) {
  let result = Infinity;
  for (let i = 0; i < values.length; i++) if (values[i] < result) result = values[i];
  return result;
}

/** @param {number} value @param {Scale} scale */
function indexOf(value, { low, high }) {
  return Math.min(Math.max(Math.round(((value - low) / (high - low)) * 255), 0), 255) || 0;
}

/** A value's colour in CSS, and whether white text is easier to read on it than black. @param {number} value @param {Scale} scale */
export function colourOf(value, scale) {
  const ramp = ramps[scale.kind];
  const at = 3 * indexOf(value, scale);
  const [red, green, blue] = ramp.subarray(at, at + 3);
  // Relative luminance, and where black and white have the same contrast to it: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
  const linear = (/** @type {number} */ c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  return { colour: `rgb(${red} ${green} ${blue})`, dark: luminance < 0.179 };
}

/**
 * Draws values into a canvas of as many pixels.
 * @param {HTMLCanvasElement} canvas
 * @param {ArrayLike<number>} values
 * @param {Scale} scale
 */
export function paint(canvas, values, scale) {
  const context = canvas.getContext('2d');
  if (!context) return;
  const image = context.createImageData(canvas.width, canvas.height);
  const ramp = ramps[scale.kind];
  for (let i = 0; i < values.length; i++) {
    const at = 3 * indexOf(values[i], scale);
    image.data[4 * i] = ramp[at];
    image.data[4 * i + 1] = ramp[at + 1];
    image.data[4 * i + 2] = ramp[at + 2];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/**
 * Draws a scale's colours from left to right.
 * @param {HTMLCanvasElement} canvas
 * @param {Scale} scale
 */
export function paintScale(canvas, scale) {
  const steps = Array.from({ length: canvas.width }, (_, i) => scale.low + ((scale.high - scale.low) * i) / (canvas.width - 1));
  paint(canvas, steps, scale);
}
