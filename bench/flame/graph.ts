/** A flame graph as one HTML file: nothing is loaded from elsewhere. A click enlarges a frame. */

import { totalOf } from './profile.js';
import type { Sources } from './sources.js';
import type { CostNode } from './types.js';

/** What is narrower than this share of the whole is left out: nobody could see it. */
const shareMin = 0.001;
/** Colours by where the code is from: ours, packages, Node, V8 and native code. */
const hues = { ours: 24, packages: 200, node: 95, native: 270 } as const;

const style = `
body { font: 12px system-ui, sans-serif; margin: 12px; }
.graph { width: 100%; }
.frame { box-sizing: border-box; overflow: hidden; }
.label { height: 17px; line-height: 17px; padding: 0 3px; margin: 0 1px 1px 0; overflow: hidden;
  white-space: nowrap; cursor: pointer; border-radius: 2px; }
.children { display: flex; }
.hidden { display: none; }
`;

/** Shows one frame and what it calls over the whole width, below those that lead to it. */
const script = `
const graph = document.querySelector('.graph');
graph.addEventListener('click', (event) => {
  const label = event.target.closest('.label');
  if (label === null) return;
  for (const frame of graph.querySelectorAll('.frame')) {
    frame.classList.remove('hidden');
    frame.style.width = frame.dataset.width;
  }
  for (let at = label.parentElement; at.classList.contains('frame'); ) {
    at.style.width = '100%';
    const siblings = at.parentElement.children;
    for (const other of siblings) if (other !== at) other.classList.add('hidden');
    at = at.parentElement.closest('.frame') ?? graph;
  }
});
`;

/** The page. `unit` makes text of a cost. */
export function flameGraph(
  title: string,
  root: CostNode,
  sources: Sources,
  unit: (cost: number) => string,
): string {
  const whole = totalOf(root);
  const named = { ...root, frame: { ...root.frame, functionName: 'all' } };
  return [
    '<!doctype html><meta charset="utf-8">',
    `<title>${escaped(title)}</title><style>${style}</style>`,
    `<h1>${escaped(title)}</h1>`,
    '<p>Each box is as wide as what the function and all it calls cost; callers are above.',
    `Boxes below ${shareMin * 100} % are left out. Click one to enlarge it, the first to go back.`,
    `<div class="graph">${frameHtml(named, whole, whole, sources, unit)}</div>`,
    `<script>${script}</script>`,
  ].join('\n');
}

function frameHtml(
  node: CostNode,
  parentTotal: number,
  whole: number,
  sources: Sources,
  unit: (cost: number) => string,
): string {
  const total = totalOf(node);
  if (total <= 0 || total < whole * shareMin) return '';
  const width = `${((total / parentTotal) * 100).toFixed(3)}%`;
  const name = escaped(node.frame.functionName || '(anonymous)');
  const share = ((total / whole) * 100).toFixed(1);
  const tip = `${name} ${escaped(sources.placeOf(node.frame))}\n${unit(total)}, ${share} %, itself ${unit(node.self)}`;
  const colour = `hsl(${hueOf(node.frame.url)} 80% ${72 + (name.length % 5) * 3}%)`;
  const children = [...node.children]
    .sort((a, b) => totalOf(b) - totalOf(a))
    .map((child) => frameHtml(child, total, whole, sources, unit))
    .join('');
  return (
    `<div class="frame" style="width:${width}" data-width="${width}">` +
    `<div class="label" style="background:${colour}" title="${tip}">${name}</div>` +
    `${children === '' ? '' : `<div class="children">${children}</div>`}</div>\n`
  );
}

function hueOf(url: string): number {
  if (url.startsWith('node:')) return hues.node;
  if (url === '') return hues.native;
  return url.includes('/node_modules/') ? hues.packages : hues.ours;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}
