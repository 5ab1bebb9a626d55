// Traced images at ten sizes and places each.

let right = 0, changed = 0, furthest = 0;
DATA.labels.forEach((label, i) => {
    const strokes = trace(image(i));
    const first = rasterize(strokes, 0.001);
    const read = argmax(forward(net, first).probabilities);
    right += read === label ? 1 : 0;
    for (let k = 1; k <= 10; k++) {
        const [size, x, y] = [0.002 * 1.8 ** k, k / 11, 1 - k / 7];
        const moved = rasterize(strokes.map(stroke => stroke.map(point => [point[0] * size + x, point[1] * size + y])), 0.001);
        furthest = Math.max(furthest, ...moved.map((value, j) => Math.abs(value - first[j])));
        changed += argmax(forward(net, moved).probabilities) === read ? 0 : 1;
    }
});
return { right, changed, furthest };
