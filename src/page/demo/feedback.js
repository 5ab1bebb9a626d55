// Where the page comes from a service that takes corrections: saves what is drawn under its right class.
// @ts-check

import { byId, el } from './dom.js';

/**
 * @param {string[]} classes
 * @param {() => Uint8Array | null} pixels what is on the pad
 */
export function createFeedback(classes, pixels) {
  const root = byId('feedback');
  const choice = el('select', { 'aria-label': 'The right class' }, el('option', { value: '' }, 'choose…'),
    ...classes.map((name) => el('option', {}, name)));
  const outcome = el('span', { role: 'status' });
  choice.addEventListener('change', async () => {
    const image = pixels();
    if (!image || choice.value === '') return;
    outcome.textContent = await save(image, choice.value).catch(() => 'The service does not answer.');
    choice.value = '';
  });
  root.append(el('label', {}, 'Wrong? It is ', choice), outcome);
  root.hidden = false;
  return {
    redraw() {
      choice.disabled = pixels() === null;
      outcome.textContent = '';
    },
  };
}

/**
 * Sends an image under its right class. Returns what to say of it.
 * @param {Uint8Array} image
 * @param {string} name the class's
 */
async function save(image, name) {
  const response = await fetch(`/v1/feedback?class=${encodeURIComponent(name)}`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: new Uint8Array(image),
  });
  return response.ok ? `Saved as ${name}, thank you.` : `It is not saved: ${(await response.json()).detail}.`;
}
