// Images from elsewhere: the examples in the page, and pictures that are opened, dropped or pasted.
// @ts-check

import { button, byId, el } from './dom.js';
import { IMAGE_SIDE, bytesOf } from './net.js';
import { paint } from './paint.js';
import { framePicture } from './picture.js';

/** Pictures are reduced to this longer side, in pixels. */
const PICTURE_SIDE = 400;

/** @typedef {(pixels: Uint8Array, label: number | null) => void} ShowImage */

/**
 * @param {import('./app.js').Data} data
 * @param {ShowImage} showImage
 */
export function createExamples({ examples, classes }, showImage) {
  const items = examples.map(({ pixels, label, misread_as: misread }) => {
    const canvas = el('canvas', { width: IMAGE_SIDE, height: IMAGE_SIDE, 'aria-hidden': 'true' });
    const image = bytesOf(pixels);
    const name = misread === null ? classes[label] : `${classes[label]}, which the net takes for ${classes[misread]}`;
    const element = button('', () => showImage(image, label), { 'aria-label': name, title: name });
    element.append(canvas);
    if (misread !== null) element.append(el('small', { 'aria-hidden': 'true' }, `${classes[label]} → ${classes[misread]}`));
    return { canvas, image, label, element, isMisread: misread !== null };
  });
  const group = (/** @type {string} */ title, /** @type {boolean} */ isMisread) => {
    const elements = items.filter((item) => item.isMisread === isMisread).map((item) => item.element);
    return elements.length === 0 ? [] : [el('div', {}, el('h2', {}, title), el('div', { class: 'thumbs' }, ...elements))];
  };
  byId('examples').append(...group('Or take a test image', false), ...group('The net misreads these', true));
  return {
    /** One to begin with, if there are any. */
    showFirst() {
      const first = items[Math.min(7, items.length - 1)];
      if (first) showImage(first.image, first.label);
    },
    redraw() {
      for (const { canvas, image } of items) paint(canvas, image, { kind: 'value', low: 0, high: 255 });
    },
  };
}

/**
 * @param {ShowImage} showImage
 * @param {(text: string) => void} complain
 */
export function listenForPictures(showImage, complain) {
  const read = async (/** @type {File | null | undefined} */ file) => {
    if (!file) return;
    const picture = await decoded(file).catch(() => null);
    if (!picture) return complain(`${file.name} cannot be read as a picture.`);
    if (isScrambled()) return complain('This browser hides the pixels of pictures from pages, against fingerprinting. You can still draw.');
    const pixels = framePicture(picture.data, picture.width, picture.height);
    if (pixels) showImage(pixels, null);
    else complain(`${file.name} shows nothing: it is a single shade all over.`);
  };
  const input = /** @type {HTMLInputElement} */ (byId('picture'));
  input.addEventListener('change', async () => {
    await read(input.files?.[0]);
    // So that the same file can be opened again.
    input.value = '';
  });
  const pictureIn = (/** @type {DataTransfer | null} */ transfer) =>
    [...(transfer?.files ?? [])].find((file) => file.type.startsWith('image/'));
  document.addEventListener('paste', (event) => read(pictureIn(event.clipboardData)));
  document.addEventListener('dragover', (event) => event.preventDefault());
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    read(pictureIn(event.dataTransfer));
  });
}

/** The pixels of a picture file, reduced. @param {File} file */
async function decoded(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(PICTURE_SIDE / Math.max(bitmap.width, bitmap.height), 1);
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(Math.round(side * scale), 1));
  const context = readable(width, height);
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** Whether a canvas gives other pixels than were drawn: some browsers do that against fingerprinting. */
function isScrambled() {
  const context = readable(8, 8);
  context.fillStyle = 'rgb(200 100 50)';
  context.fillRect(0, 0, 8, 8);
  const { data } = context.getImageData(0, 0, 8, 8);
  return data.some((value, i) => Math.abs(value - [200, 100, 50, 255][i % 4]) > 8);
}

/** @param {number} width @param {number} height */
function readable(width, height) {
  return /** @type {CanvasRenderingContext2D} */ (el('canvas', { width, height }).getContext('2d', { willReadFrequently: true }));
}
