// A 1 by keys, taken back and drawn again; then a unit of C3.

const press = (target, key, options = {}) => {
    const event = new view.KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...options });
    target.dispatchEvent(event);
    target.dispatchEvent(new view.KeyboardEvent('keyup', { key, bubbles: true }));
};
const pad = byId('pad');
pad.focus();
press(pad, 'Delete');
press(pad, ' ');
for (let i = 0; i < 14; i++) press(pad, 'ArrowDown');
press(pad, ' ');
await until(() => byId('spoken').textContent.startsWith('1, '));
const drawn = [answer(), byId('spoken').textContent];
press(pad, 'z', { ctrlKey: true });
await until(() => byId('spoken').textContent === 'blank');
const undone = [answer(), byId('spoken').textContent];
press(pad, 'y', { ctrlKey: true });
await until(() => answer().startsWith('1'));
const c3 = page.querySelector('[data-layer=c3] [tabindex="0"]');
c3.focus();
press(c3, 'ArrowRight');
const first = { ...state.unit };
press(c3, 'PageDown');
const second = { ...state.unit };
const spoken = byId('spoken').textContent;
press(c3, 'Enter');
const reachable = ['#pad', '#undo', '#redo', '#clear', '#picture', '.thumbs button', '#modes input', '.kernels summary',
    ...['input', 'c1', 's2', 'c3', 's4', 'c5', 'f6', 'output'].map(layer => `[data-layer=${layer}] [role=application]`)];
return { drawn, undone, first, second, spoken, focused: page.activeElement.textContent,
    unreachable: reachable.filter(each => page.querySelector(each).tabIndex !== 0) };
