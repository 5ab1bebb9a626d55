// Chooses a unit in every layer, forward and backward, and follows it; looks for what hangs over the page's edge, and for
// text with too little contrast.

const root = page.documentElement, problems = [];
const rgb = text => text.match(/[\d.]+/g).map(Number);
const luminance = color => rgb(color).slice(0, 3).map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const isClear = color => rgb(color)[3] === 0;
const background = node => isClear(view.getComputedStyle(node).backgroundColor) && node.parentElement
    ? background(node.parentElement) : view.getComputedStyle(node).backgroundColor;
const contrast = node => {
    const [a, b] = [luminance(view.getComputedStyle(node).color), luminance(background(node))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
};
const hasText = node => [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
const check = where => {
    if (root.scrollWidth > root.clientWidth) problems.push(`${where}: ${root.scrollWidth} of ${root.clientWidth} pixels`);
    for (const node of page.body.querySelectorAll('*')) {
        if (!hasText(node) || node.disabled || !node.checkVisibility() || ['SCRIPT', 'STYLE'].includes(node.tagName)) continue;
        if (contrast(node) < 4.5) problems.push(`${where}: ${node.tagName} "${node.textContent}" ${contrast(node)}`);
    }
};
let units = 0;
check('at first');
for (const mode of ['forward', 'backward']) {
    page.querySelector(`#modes [value=${mode}]`).click();
    if (mode === 'backward') page.querySelector('#labels [value="3"]').click();
    for (const layer of ['input', 'c1', 's2', 'c3', 's4', 'c5', 'f6', 'output']) {
        const target = page.querySelector(`[data-layer=${layer}] .map, [data-layer=${layer}] .cells span:nth-child(4)`);
        const box = target.getBoundingClientRect();
        target.dispatchEvent(new view.MouseEvent('click', { bubbles: true, clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 }));
        check(`${mode}, ${layer}`);
        const follow = page.querySelector('.follow');
        if (follow) { follow.click(); check(`${mode}, from ${layer}`); units += page.querySelectorAll('.trail li').length; }
    }
}
return {
    problems, units, background: view.getComputedStyle(page.body).backgroundColor,
    requests: view.performance.getEntriesByType('resource').map(entry => entry.name),
    canvases: [...page.querySelectorAll('canvas')].filter(canvas => canvas.width === 0).length,
};
