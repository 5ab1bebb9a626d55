// The answer: in words, as probabilities, and why.
// @ts-check

import { button, byId, el } from './dom.js';
import { signedScale } from './paint.js';
import { nameOf, percent, signed } from './text.js';
import { linksFrom } from './units.js';

/** @typedef {import('./net.js').Pass} Pass */
/** @typedef {import('./units.js').Unit} Unit */

/** The largest shares of a logit that are listed. */
const SHARES = 8;

/**
 * @param {import('./net.js').Net} net
 * @param {import('./app.js').Data} data
 * @param {(unit: Unit) => void} reveal shows a unit among the layers
 */
export function createAnswer(net, data, reveal) {
  const { classes } = data;
  const rows = classes.map((name) => {
    const bar = el('i');
    const text = el('td');
    const row = el('tr', {}, el('th', { scope: 'row' }, name), el('td', { class: 'bar', 'aria-hidden': 'true' }, bar), text);
    byId('probabilities').querySelector('tbody')?.append(row);
    return { bar, text, row };
  });

  /** The classes, the most likely first. @param {Pass} pass */
  const ranking = ({ probabilities }) => Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a]);

  /** The answer, or what keeps the net from one. @param {Pass | null} pass */
  const words = (pass) => {
    if (!pass) return { kind: 'blank', title: '', detail: 'nothing drawn yet', spoken: 'blank' };
    const ranked = ranking(pass);
    const [best, second] = ranked.map((index) => classes[index]);
    const p = pass.probabilities[ranked[0]];
    const unsure = (/** @type {string} */ detail) => ({ kind: 'unsure', title: '?', detail, spoken: detail });
    if (p < data.noClass) return unsure('none of these');
    if (p < data.sure) return unsure(`not sure: ${best} or ${second}`);
    return { kind: 'sure', title: best, detail: percent(p), spoken: `${best}, ${percent(p).replace('%', 'percent')}` };
  };

  /** The exact shares of the largest logit. @param {Pass | null} pass */
  const why = (pass) => {
    if (!pass) return [el('h2', {}, 'Why?'), el('p', { class: 'soft' }, 'What speaks for the answer, and what against it, is shown here.')];
    const index = ranking(pass)[0];
    const unit = /** @type {Unit} */ ({ layer: 'output', index });
    const shares = linksFrom(net, pass, unit).map((link) => ({ unit: link.unit, share: link.weight * pass.values.f6[link.unit.index] }));
    shares.sort((a, b) => Math.abs(b.share) - Math.abs(a.share));
    const listed = shares.slice(0, SHARES);
    const others = shares.slice(SHARES).reduce((sum, { share }) => sum + share, 0);
    const bias = net.parameters.output.biases[index];
    const scale = signedScale([...listed.map(({ share }) => share), others, bias]);
    const link = (/** @type {Unit} */ to) => button(nameOf(net, classes, to), () => reveal(to), { class: 'link' });
    return [
      el('h2', {}, `Why ${classes[index]}?`),
      el('p', { class: 'soft small' }, 'Its logit is a sum over F6, value times weight:'),
      el('table', {}, el('tbody', {},
        ...listed.map(({ unit: from, share }) => shareRow(link(from), share, scale)),
        shareRow(`${shares.length - SHARES} other units`, others, scale),
        shareRow('bias', bias, scale),
        el('tr', { class: 'total' }, el('th', { scope: 'row' }, link(unit)), el('td', { 'aria-hidden': 'true' }),
          el('td', {}, signed(pass.values.output[index]))))),
    ];
  };

  return {
    /** @param {Pass | null} pass */
    spoken: (pass) => words(pass).spoken,
    /** @param {Pass | null} pass */
    redraw(pass) {
      const { kind, title, detail } = words(pass);
      byId('answer').className = kind;
      byId('answer').replaceChildren(el('b', {}, title), el('span', {}, detail));
      const best = pass && ranking(pass)[0];
      rows.forEach(({ bar, text, row }, index) => {
        bar.style.width = `${100 * (pass?.probabilities[index] ?? 0)}%`;
        text.textContent = pass ? percent(pass.probabilities[index]) : '–';
        row.className = index === best ? 'best' : '';
      });
      // Of many classes, only some are in view.
      const list = /** @type {HTMLElement} */ (byId('probabilities').parentElement);
      list.scrollTop = best === null ? 0 : rows[best].row.offsetTop - list.clientHeight / 2;
      byId('why').replaceChildren(...why(pass));
    },
  };
}

/**
 * A share with its bar, to the right of the middle if it speaks for the class.
 * @param {Node | string} name
 * @param {number} share
 * @param {import('./paint.js').Scale} scale
 */
function shareRow(name, share, scale) {
  const bar = el('i', { class: share < 0 ? 'against' : 'for' });
  const size = (50 * Math.abs(share)) / scale.high;
  bar.style.width = `${size}%`;
  bar.style.left = share < 0 ? `${50 - size}%` : '50%';
  return el('tr', {}, el('th', { scope: 'row' }, name), el('td', { class: 'share', 'aria-hidden': 'true' }, bar), el('td', {}, signed(share)));
}
