// Frames a picture of a digit as MNIST has it.

// From a grey picture of one digit, of any size, dark on light or light on dark, to an image for the net.
//
// grey: width * height numbers, 0 (black) to 255 (white), row by row
// returns a Uint8Array of 28 * 28, 0 (background) to 255 (foreground)
export function frame(grey, width, height) {
  let picture = { width, height, values: Float32Array.from(grey, value => value / 255) };
  const longer = Math.max(width, height);
  if (longer > 400) { // finer detail is noise here
    picture = resize(picture, ...[width, height].map(side => Math.max(1, Math.floor(side * 400 / longer))));
  }

  // The foreground is what is darker than the border, or what is lighter, whichever differs more.
  const border = picture.values.filter((_, i) => onBorder(picture, i));
  const background = median(border);
  const noise = 3 * median(border.map(value => Math.abs(value - background)));
  const [darker, lighter] = [-1, 1].map(sign =>
    picture.values.map(value => Math.max(sign * (value - background) - noise, 0)));
  const mass = values => values.reduce((sum, value) => sum + value * value, 0);
  const foreground = mass(darker) >= mass(lighter) ? darker : lighter;
  if (strongest(foreground) < 0.06) throw new Error("the picture shows nothing: it is a single shade all over");

  // Fitted into 20x20 pixels.
  let digit = cut({ ...picture, values: scaled(foreground) });
  const side = Math.max(digit.width, digit.height);
  const fitted = length => Math.max(1, Math.floor((length * 20 + Math.floor(side / 2)) / side));
  digit = resize(digit, fitted(digit.width), fitted(digit.height));
  const values = scaled(digit.values);

  // The centre of mass in the middle of 28x28 pixels, as far as the edges allow.
  const total = values.reduce((sum, value) => sum + value, 0);
  const centre = at => values.reduce((sum, value, i) => sum + value * at(i), 0) / total;
  const start = (centre, length) => Math.min(Math.max(Math.floor(14.5 - centre), 0), 28 - length);
  const left = start(centre(i => i % digit.width), digit.width);
  const top = start(centre(i => Math.floor(i / digit.width)), digit.height);
  const image = new Uint8Array(28 * 28);
  values.forEach((value, i) => {
    image[(top + Math.floor(i / digit.width)) * 28 + left + i % digit.width] = Math.floor(value * 255 + 0.5);
  });
  return image;
}

function onBorder({ width, height }, i) {
  const x = i % width, y = Math.floor(i / width);
  return x === 0 || y === 0 || x === width - 1 || y === height - 1;
}

function median(values) {
  return values.slice().sort()[Math.floor(values.length / 2)];
}

function strongest(values) {
  return values.reduce((a, b) => Math.max(a, b), 0);
}

function scaled(values) {
  const largest = strongest(values);
  return values.map(value => value / largest);
}

// The smallest part with all of the foreground.
function cut({ width, values }) {
  const bounds = { left: Infinity, top: Infinity, right: 0, bottom: 0 };
  values.forEach((value, i) => {
    if (value < 0.3) return;
    const x = i % width, y = Math.floor(i / width);
    bounds.left = Math.min(bounds.left, x), bounds.right = Math.max(bounds.right, x + 1);
    bounds.top = Math.min(bounds.top, y), bounds.bottom = Math.max(bounds.bottom, y + 1);
  });
  const inside = values.filter((_, i) => {
    const x = i % width, y = Math.floor(i / width);
    return x >= bounds.left && x < bounds.right && y >= bounds.top && y < bounds.bottom;
  });
  return { width: bounds.right - bounds.left, height: bounds.bottom - bounds.top, values: inside };
}

// By a triangle filter: linear interpolation, widened to the size of a new pixel when reducing.
function resize(picture, width, height) {
  return transposed(withRows(transposed(withRows(picture, height)), width));
}

function withRows({ width, height, values }, rows) {
  const resized = new Float32Array(width * rows);
  const ratio = height / rows, reach = Math.max(ratio, 1);
  for (let y = 0; y < rows; y++) {
    const weight = from => Math.max(1 - Math.abs(from + 0.5 - (y + 0.5) * ratio) / reach, 0);
    const weights = Array.from({ length: height }, (_, from) => weight(from));
    const sum = weights.reduce((a, b) => a + b);
    weights.forEach((weight, from) => {
      if (weight === 0) return;
      for (let x = 0; x < width; x++) resized[y * width + x] += weight / sum * values[from * width + x];
    });
  }
  return { width, height: rows, values: resized };
}

function transposed({ width, height, values }) {
  const turned = values.map((_, i) => values[(i % height) * width + Math.floor(i / height)]);
  return { width: height, height: width, values: turned };
}
