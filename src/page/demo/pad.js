// The pad: strokes by mouse, finger, pen and keys, and taking them back.
// @ts-check

import { byId } from './dom.js';
import { IMAGE_SIDE } from './net.js';
import { paint } from './paint.js';

/** @typedef {import('./strokes.js').Point} Point in fractions of the pad's side */
/** @typedef {import('./strokes.js').Stroke} Stroke */
/** @typedef {{ strokes: Stroke[], image: Uint8Array | null }} Drawing strokes, or an image that was chosen instead */

/** The pen's width, as a fraction of the pad's side: only for the eye, since the net's image is drawn anew. */
const PEN_WIDTH = 0.055;
/** How far a key moves the cursor, as a fraction of the pad's side. */
const STEP = 1 / 28;
const DIRECTIONS = /** @type {Record<string, Point>} */ ({
  ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP],
});

/**
 * @param {(drawing: Drawing) => void} onChange called with each new point
 * @param {(text: string) => void} say
 */
export function createPad(onChange, say) {
  const root = byId('pad');
  const canvas = /** @type {HTMLCanvasElement} */ (root.querySelector('canvas'));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  const undo = /** @type {HTMLButtonElement} */ (byId('undo'));
  const redo = /** @type {HTMLButtonElement} */ (byId('redo'));
  /** Every state so far, and which one is shown. @type {Drawing[]} */
  let history = [{ strokes: [], image: null }];
  let shown = 0;
  /** The stroke being drawn. @type {Stroke | null} */
  let stroke = null;
  let pointer = { id: -1, type: '' };
  let cursor = /** @type {Point} */ ([0.5, 0.25]);
  const pressed = new Set();

  const drawing = () => {
    const { strokes, image } = history[shown];
    return stroke ? { strokes: [...strokes, stroke], image: null } : { strokes, image };
  };

  const redraw = () => {
    const side = Math.round(root.clientWidth * devicePixelRatio);
    if (canvas.width !== side) canvas.width = canvas.height = side;
    context.clearRect(0, 0, side, side);
    const { strokes, image } = drawing();
    if (image) drawImage(image);
    strokes.forEach((points) => points.forEach((_, i) => drawSegment(points, i)));
    if (root.classList.contains('keys')) drawCursor();
  };

  const drawImage = (/** @type {Uint8Array} */ image) => {
    const small = document.createElement('canvas');
    small.width = small.height = IMAGE_SIDE;
    paint(small, image, { kind: 'value', low: 0, high: 255 });
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
  };

  /** From the point before to this one. */
  const drawSegment = (/** @type {Stroke} */ points, /** @type {number} */ i) => {
    const [from, to] = [points[Math.max(i - 1, 0)], points[i]].map(([x, y]) => [x * canvas.width, y * canvas.width]);
    context.strokeStyle = getComputedStyle(root).color;
    context.lineWidth = PEN_WIDTH * canvas.width;
    context.lineCap = 'round';
    context.beginPath();
    context.moveTo(from[0], from[1]);
    context.lineTo(to[0], to[1]);
    context.stroke();
  };

  const drawCursor = () => {
    const [x, y] = cursor.map((at) => at * canvas.width);
    const arm = 0.04 * canvas.width;
    context.strokeStyle = getComputedStyle(root).getPropertyValue('--accent');
    context.lineWidth = 2 * devicePixelRatio;
    context.beginPath();
    context.arc(x, y, stroke ? arm / 2 : arm, 0, 2 * Math.PI);
    context.moveTo(x - arm * 1.6, y);
    context.lineTo(x + arm * 1.6, y);
    context.moveTo(x, y - arm * 1.6);
    context.lineTo(x, y + arm * 1.6);
    context.stroke();
  };

  const changed = () => {
    const now = drawing();
    undo.disabled = shown === 0;
    redo.disabled = shown === history.length - 1;
    byId('pad-hint').hidden = now.strokes.length > 0 || now.image !== null;
    onChange(now);
  };

  const remember = (/** @type {Drawing} */ next) => {
    history = [...history.slice(0, shown + 1), next];
    shown += 1;
  };
  const show = (/** @type {number} */ index) => {
    stroke = null;
    shown = Math.min(Math.max(index, 0), history.length - 1);
    redraw();
    changed();
  };
  const clear = () => {
    stroke = null;
    if (drawing().strokes.length > 0 || drawing().image) remember({ strokes: [], image: null });
    show(shown);
  };

  const begin = (/** @type {Point} */ point) => {
    // An image is not drawn over: a new drawing begins.
    if (history[shown].image) remember({ strokes: [], image: null });
    stroke = [point];
    redraw();
    changed();
  };
  const extend = (/** @type {Point} */ point) => {
    if (!stroke) return;
    stroke.push(point);
    drawSegment(stroke, stroke.length - 1);
  };
  const end = () => {
    if (!stroke) return;
    remember(drawing());
    stroke = null;
    redraw();
    changed();
  };

  const pointOf = (/** @type {PointerEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    const inside = (/** @type {number} */ at) => Math.min(Math.max(at, 0), 1);
    return /** @type {Point} */ ([inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)]);
  };

  root.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    // While a pen draws, a touch is a palm; a pen takes over from a touch.
    if (stroke && !(event.pointerType === 'pen' && pointer.type === 'touch')) return;
    pointer = { id: event.pointerId, type: event.pointerType };
    root.setPointerCapture(event.pointerId);
    root.classList.remove('keys');
    begin(pointOf(event));
  });
  root.addEventListener('pointermove', (event) => {
    if (event.pointerId !== pointer.id || !stroke) return;
    const events = event.getCoalescedEvents?.() ?? [];
    (events.length > 0 ? events : [event]).forEach((each) => extend(pointOf(each)));
    changed();
  });
  for (const name of /** @type {const} */ (['pointerup', 'pointercancel'])) {
    root.addEventListener(name, (event) => {
      if (event.pointerId === pointer.id) end();
    });
  }

  root.addEventListener('keydown', (event) => {
    if (event.key in DIRECTIONS) {
      pressed.add(event.key);
      // Two arrows at once are a diagonal.
      for (const key of pressed) {
        const [dx, dy] = DIRECTIONS[key];
        cursor = [Math.min(Math.max(cursor[0] + dx, 0), 1), Math.min(Math.max(cursor[1] + dy, 0), 1)];
      }
      extend(cursor);
      if (stroke) changed();
    } else if (event.key === ' ') {
      if (stroke) end();
      else begin(cursor);
      say(stroke ? 'pen down' : 'pen up');
    } else if (event.key === 'Delete' || event.key === 'Backspace') {
      clear();
      say('cleared');
    } else {
      return;
    }
    event.preventDefault();
    root.classList.add('keys');
    redraw();
  });
  root.addEventListener('keyup', (event) => pressed.delete(event.key));
  root.addEventListener('blur', () => {
    pressed.clear();
    end();
    root.classList.remove('keys');
    redraw();
  });
  document.addEventListener('keydown', (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key !== 'z' && key !== 'y') return;
    event.preventDefault();
    show(key === 'y' || event.shiftKey ? shown + 1 : shown - 1);
  });
  undo.addEventListener('click', () => show(shown - 1));
  redo.addEventListener('click', () => show(shown + 1));
  byId('clear').addEventListener('click', clear);
  new ResizeObserver(redraw).observe(root);

  return {
    redraw,
    /** Shows an image instead of strokes. @param {Uint8Array} image */
    showImage(image) {
      stroke = null;
      remember({ strokes: [], image });
      show(shown);
    },
  };
}
