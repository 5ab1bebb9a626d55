// What the scripts share: the given images, the page's own functions, and what it says.

const bytes = Uint8Array.from(atob(DATA?.images ?? ''), c => c.charCodeAt(0));
const image = i => bytes.subarray(784 * i, 784 * (i + 1));
const argmax = values => values.indexOf(Math.max(...values));
const { net, state, forward, backward, rasterize } = view.lenet;
// Time passes in leaps here, as soon as nothing is left to do: frames and decoded pictures need time that does not.
const turn = () => new Promise(done => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = done;
    port2.postMessage(0);
});
const until = async condition => {
    for (let i = 0; i < 3000 && !condition(); i++) {
        for (let j = 0; j < 50; j++) await turn();
        await new Promise(done => setTimeout(done, 1));
    }
};
const byId = id => page.getElementById(id);
const answer = () => byId('answer').textContent.trim();
