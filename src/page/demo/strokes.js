// From strokes, which are points, to an image as MNIST has them. A canvas is never read back.
// @ts-check

import { IMAGE_SIDE } from './net.js';

/** @typedef {[x: number, y: number]} Point in any unit, as long as all points have the same */
/** @typedef {Point[]} Stroke */

/** The longer side of a digit in MNIST, in pixels. */
export const DIGIT_SIDE = 20;
/** The width of MNIST's strokes, in pixels: the median over its images. */
export const STROKE_WIDTH = 2.4;
/** Where MNIST's images have their centre of mass, in pixels from the left and from the top: measured, on average. */
export const MIDDLE = 14.5;

/**
 * The strokes fitted into 20x20 pixels, drawn with a round pen, with the centre of mass in the middle of 28x28.
 * @param {Stroke[]} strokes
 * @param {number} smallest what is smaller than this is a dot
 * @returns {Uint8Array | null} 0 (background) to 255 (foreground); null if there are no points
 */
export function rasterize(strokes, smallest) {
  const fitted = fit(strokes, smallest);
  if (!fitted) return null;
  const [x, y] = centreOfMass(drawLines(fitted));
  const shift = (/** @type {Point} */ point) => /** @type {Point} */ ([point[0] + MIDDLE - x, point[1] + MIDDLE - y]);
  const centred = drawLines(fitted.map((stroke) => stroke.map(shift)));
  return Uint8Array.from(centred, (value) => Math.round(value * 255));
}

/**
 * Points in pixels of the image, in the middle of it.
 * @param {Stroke[]} strokes
 * @param {number} smallest
 */
function fit(strokes, smallest) {
  const points = strokes.flat();
  if (points.length === 0) return null;
  const [xs, ys] = [points.map((point) => point[0]), points.map((point) => point[1])];
  const [left, top] = [least(xs), least(ys)];
  const [width, height] = [-least(xs.map((x) => -x)) - left, -least(ys.map((y) => -y)) - top];
  const longer = Math.max(width, height);
  const scale = longer < smallest ? 0 : (DIGIT_SIDE - STROKE_WIDTH) / longer;
  const fitted = (/** @type {Point} */ [x, y]) =>
    /** @type {Point} */ ([(x - left - width / 2) * scale + IMAGE_SIDE / 2, (y - top - height / 2) * scale + IMAGE_SIDE / 2]);
  return strokes.map((stroke) => stroke.map(fitted));
}

/** @param {number[]} values */
function least(values) {
  return values.reduce((a, b) => Math.min(a, b));
}

/**
 * How much of each pixel the pen covers, 0 to 1.
 * @param {Stroke[]} strokes in pixels
 */
function drawLines(strokes) {
  const image = new Float64Array(IMAGE_SIDE * IMAGE_SIDE);
  const reach = STROKE_WIDTH / 2 + 0.5;
  const clamp = (/** @type {number} */ at) => Math.min(Math.max(Math.floor(at), 0), IMAGE_SIDE - 1);
  for (const stroke of strokes) {
    for (let i = 0; i < stroke.length; i++) {
      const [from, to] = [stroke[Math.max(i - 1, 0)], stroke[i]];
      const [x0, x1] = from[0] < to[0] ? [from[0], to[0]] : [to[0], from[0]];
      const [y0, y1] = from[1] < to[1] ? [from[1], to[1]] : [to[1], from[1]];
      for (let y = clamp(y0 - reach); y <= clamp(y1 + reach); y++) {
        for (let x = clamp(x0 - reach); x <= clamp(x1 + reach); x++) {
          const covered = reach - distance([x + 0.5, y + 0.5], from, to);
          const pixel = y * IMAGE_SIDE + x;
          if (covered > image[pixel]) image[pixel] = Math.min(covered, 1);
        }
      }
    }
  }
  return image;
}

/**
 * From a point to a line segment.
 * @param {Point} point
 * @param {Point} from
 * @param {Point} to
 */
function distance([x, y], [x0, y0], [x1, y1]) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length = dx * dx + dy * dy;
  const t = length === 0 ? 0 : Math.min(Math.max(((x - x0) * dx + (y - y0) * dy) / length, 0), 1);
  return Math.hypot(x - x0 - t * dx, y - y0 - t * dy);
}

/**
 * In pixels from the left and from the top.
 * @param {ArrayLike<number>} image
 * @returns {Point}
 */
function centreOfMass(image) {
  let [sum, x, y] = [0, 0, 0];
  for (let i = 0; i < image.length; i++) {
    sum += image[i];
    x += image[i] * ((i % IMAGE_SIDE) + 0.5);
    y += image[i] * (Math.floor(i / IMAGE_SIDE) + 0.5);
  }
  return sum === 0 ? [IMAGE_SIDE / 2, IMAGE_SIDE / 2] : [x / sum, y / sum];
}
