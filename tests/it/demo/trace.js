// From an image to strokes: thinned to lines of one pixel, with a stroke between each two neighbours.
//
// Source: Zhang and Suen, "A fast parallel algorithm for thinning digital patterns", Communications of the ACM 27 (1984).

function trace(image) {
  const SIDE = 30;
  const on = new Uint8Array(SIDE * SIDE);
  for (let i = 0; i < 784; i++) on[(Math.floor(i / 28) + 1) * SIDE + (i % 28) + 1] = image[i] >= 128 ? 1 : 0;
  // Clockwise from the north.
  const around = [-SIDE, -SIDE + 1, 1, SIDE + 1, SIDE, SIDE - 1, -1, -SIDE - 1];
  const goes = (at, isFirst) => {
    const ring = around.map((offset) => on[at + offset]);
    const count = ring.reduce((a, b) => a + b);
    const rises = ring.filter((value, i) => !value && ring[(i + 1) % 8]).length;
    const [north, , east, , south, , west] = ring;
    const isEdge = isFirst ? !(north * east * south) && !(east * south * west) : !(north * east * west) && !(north * south * west);
    return on[at] && count >= 2 && count <= 6 && rises === 1 && isEdge;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const isFirst of [true, false]) {
      const gone = [...on.keys()].filter((at) => on[at] && goes(at, isFirst));
      gone.forEach((at) => (on[at] = 0));
      changed ||= gone.length > 0;
    }
  }
  const strokes = [];
  const point = (at) => [at % SIDE, Math.floor(at / SIDE)];
  for (const at of on.keys()) {
    if (!on[at]) continue;
    strokes.push([point(at)]);
    const isDiagonal = (offset) => ![1, SIDE].includes(offset);
    for (const offset of [1, SIDE, SIDE + 1, SIDE - 1]) {
      const isCorner = isDiagonal(offset) && (on[at + SIDE] || on[at + offset - SIDE]);
      if (on[at + offset] && !isCorner) strokes.push([point(at), point(at + offset)]);
    }
  }
  return strokes;
}
