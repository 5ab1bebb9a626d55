// A 7 by touch, large and small, and by a pen while the palm lies on the pad; then undo and redo.

const pad = byId('pad'), box = pad.getBoundingClientRect();
// A pointer of a test cannot be captured.
pad.setPointerCapture = () => {};
const send = (type, pointerId, pointerType, x, y) => pad.dispatchEvent(new view.PointerEvent(type, {
    pointerId, pointerType, bubbles: true, button: 0, clientX: box.left + x * box.width, clientY: box.top + y * box.height }));
const draw = (id, type, points) => {
    send('pointerdown', id, type, ...points[0]);
    points.slice(1).forEach(point => send('pointermove', id, type, ...point));
    send('pointerup', id, type, ...points.at(-1));
};
const seven = [[.3, .25], [.5, .25], [.7, .26], [.6, .5], [.5, .75]];
const answers = [];
const look = async starts => { await until(() => answer().startsWith(starts)); answers.push(answer()); };
byId('clear').click(); await look('nothing');
draw(5, 'touch', seven); await look('7');
byId('clear').click(); await look('nothing');
draw(5, 'touch', seven.map(([x, y]) => [x / 5, y / 5 + .7])); await look('7');
const small = Array.from(state.pixels);
byId('clear').click(); await look('nothing');
// The palm lies on the pad while the pen draws.
send('pointerdown', 8, 'touch', .9, .9);
send('pointerdown', 9, 'pen', ...seven[0]);
send('pointermove', 8, 'touch', .8, .95);
send('pointerdown', 10, 'touch', .2, .95);
seven.slice(1).forEach(point => send('pointermove', 9, 'pen', ...point));
send('pointerup', 9, 'pen', .5, .75);
await look('7');
const large = Array.from(state.pixels);
byId('undo').click(); await look('nothing');
byId('redo').click(); await look('7');
return { answers, furthest: Math.max(...small.map((value, i) => Math.abs(value - large[i]))) };
