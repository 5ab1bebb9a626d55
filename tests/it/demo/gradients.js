// A step over all images: the means, in Burn's layout, in which linear layers are [inputs, outputs].

const count = DATA.labels.length;
const passes = DATA.labels.map((label, i) => {
    const pass = forward(net, image(i));
    return { pass, back: backward(net, pass, label) };
});
const mean = arrays => Array.from(arrays[0], (_, i) => arrays.reduce((sum, array) => sum + array[i] / count, 0));
const transposed = (values, rows) => values.map((_, i) =>
    values[i % rows * values.length / rows + Math.floor(i / rows)]);
const of = (layer, part) => mean(passes.map(({ back }) => back.gradients[layer][part]));
return {
    logits: passes.flatMap(({ pass }) => Array.from(pass.values.output)),
    loss: mean(passes.map(({ back }) => [back.loss]))[0],
    gradients: [
        ...['c1', 'c3', 'c5'].flatMap(layer => [of(layer, 'weights'), of(layer, 'biases')]),
        transposed(of('f6', 'weights'), 84), of('f6', 'biases'),
        transposed(of('output', 'weights'), 10), of('output', 'biases'),
        passes.flatMap(({ back }) => Array.from(back.errors.input, error => error / count)),
    ],
};
