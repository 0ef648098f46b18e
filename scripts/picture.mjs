/**
 * `npm run picture`: the picture of the README, docs/images/first-minutes.svg. A server is started in
 * a pseudo-terminal, etcdctl is used on it, it is killed and started again, and what both terminals
 * showed is drawn. Needs `script` (util-linux) and an etcdctl.
 */

import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const columns = 88;
const lineHeight = 19;
const charWidth = 8.43;
const padding = 18;
const titleHeight = 34;

/** What the second terminal types. */
const commands = [
  ['put', '/config/log-level', 'debug'],
  ['get', '--prefix', '/config/'],
  ['lease', 'grant', '60'],
  ['member', 'list'],
];

const folder = mkdtempSync(join(tmpdir(), 'kvorum-picture-'));
const etcdctl = process.argv[2] ?? 'etcdctl';
try {
  const first = start();
  await ready(first);
  const typed = commands.flatMap((args) => [`$ etcdctl ${args.join(' ')}`, ...call(args)]);
  await killed(first);
  const second = start();
  await ready(second);
  const [, get] = commands;
  typed.push('$ # killed and started meanwhile', `$ etcdctl ${get.join(' ')}`, ...call(get));
  await killed(second);
  const server = [first, second].flatMap(({ text }) => [
    '$ npm start',
    ...linesOf(text).filter((line) => !line.startsWith('{')),
    'Killed',
  ]);
  const panes = [
    { title: 'a node', lines: server.slice(0, -1) },
    { title: 'any etcd client', lines: typed },
  ];
  mkdirSync(join(root, 'docs/images'), { recursive: true });
  writeFileSync(join(root, 'docs/images/first-minutes.svg'), draw(panes));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** A node in a pseudo-terminal, in a folder of its own, as `npm start` runs it. */
function start() {
  const server = { text: '', child: undefined, over: undefined };
  const program = join(root, 'bin/kvorum');
  const args = ['--quiet', '--return', '--flush', '--command', program, '/dev/null'];
  server.child = spawn('script', args, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
  server.child.stdout.on('data', (chunk) => {
    server.text += chunk;
  });
  server.over = new Promise((resolve) => server.child.once('close', resolve));
  return server;
}

async function ready(server) {
  while (!server.text.includes('ready in')) {
    if (server.child.exitCode !== null) throw new Error(`it did not start:\n${server.text}`);
    await sleep(20);
  }
}

/** kill -9 of the node itself, not of its terminal. */
async function killed(server) {
  spawnSync('pkill', ['-9', '-P', String(server.child.pid)]);
  await server.over;
}

function call(args) {
  const result = spawnSync(etcdctl, args, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${args.join(' ')}: ${result.stderr}`);
  return linesOf(result.stdout);
}

function linesOf(text) {
  const lines = text.replaceAll(`${folder}/`, './').split(/\r?\n/);
  return lines.map((line) => line.trimEnd()).filter((line) => line !== '');
}

function draw(panes) {
  let top = 0;
  const width = Math.ceil(columns * charWidth + 2 * padding);
  const parts = panes.map(({ title, lines }) => {
    const height = titleHeight + lines.length * lineHeight + padding;
    const rows = lines.map((line, i) => {
      const y = top + titleHeight + 14 + i * lineHeight;
      const kind = line.startsWith('$ ') ? ' class="typed"' : '';
      const cut = line.length > columns ? `${line.slice(0, columns - 1)}…` : line;
      return `<text x="${padding}" y="${y}"${kind} xml:space="preserve">${escaped(cut)}</text>`;
    });
    const box =
      `<rect x="0.5" y="${top + 0.5}" width="${width - 1}" height="${height - 1}" rx="8"/>` +
      `<text x="${padding}" y="${top + 21}" class="title">${title}</text>`;
    top += height + 12;
    return box + rows.join('\n');
  });
  const alt = panes.flatMap(({ lines }) => lines).join('\n');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top - 12}" role="img">
<title>A node is started, used with etcdctl, killed, and started again with all that it had</title>
<desc>${escaped(alt)}</desc>
<style>
rect { fill: #16181d; stroke: #3a3f4b; }
text { font: 14px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #d7dae0; }
.typed { fill: #7fd1b9; }
.title { fill: #8b93a3; font-size: 12px; }
</style>
${parts.join('\n')}
</svg>
`;
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
