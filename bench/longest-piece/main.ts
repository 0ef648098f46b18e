/**
 * `npm run bench:pieces`: the longest turns of a member's event loop under what could hold it
 * longest, in CPU time of its main thread. The goal is 20 ms (docs/adr/0015-no-long-piece.md).
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { commandLine } from '../arguments.js';
import { makeSecurity } from '../security.js';
import { Rig, type Row } from './rig.js';
import { nastinesses } from './workloads.js';

const goalMs = 20;
const names = Object.keys(nastinesses);
const usage = `usage: npm run bench:pieces -- [--kvorum PATH] [NAME...]
       NAME: ${names.join(', ')} (all)
       PATH: bin/kvorum of another checkout
`;

interface Options {
  readonly names: readonly string[];
  readonly kvorum: string | undefined;
}

function parse(args: string[]): Options | undefined {
  const { positionals, values } = parseArgs({
    args,
    allowPositionals: true,
    options: { kvorum: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) return undefined;
  for (const name of positionals) {
    if (!names.includes(name)) throw new Error(`there is no "${name}"`);
  }
  return { names: positionals.length > 0 ? positionals : names, kvorum: values.kvorum };
}

function tell({ what, pieces, putMs, tookMs }: Row): void {
  const [longest] = pieces;
  const sorted = [...putMs].sort((a, b) => a - b);
  const own = pieces.map(({ cpuMs, collectedMs }) => cpuMs - collectedMs);
  const cells = [
    what.padEnd(58),
    (tookMs / 1000).toFixed(1),
    (longest?.cpuMs ?? 0).toFixed(1),
    (longest?.collectedMs ?? 0).toFixed(1),
    Math.max(0, ...own).toFixed(1),
    String(pieces.filter(({ cpuMs }) => cpuMs > goalMs).length),
    (sorted[Math.floor(sorted.length * 0.99)] ?? 0).toFixed(1),
    (sorted.at(-1) ?? 0).toFixed(1),
  ];
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}

const options = commandLine(usage, parse);
process.stdout.write(
  `Node ${process.version}. Longest turns of the event loop, ms of CPU of the main thread.\n` +
    `| ${'what'.padEnd(58)} | s | longest | of it collections | longest without | above ${goalMs}` +
    ' (of the 20 longest) | put p99 ms | put max ms |\n|---|---|---|---|---|---|---|---|\n',
);
const dir = mkdtempSync(join(tmpdir(), 'bench-pieces-'));
try {
  for (const name of options.names) {
    const nastiness = nastinesses[name];
    if (nastiness === undefined) continue;
    const security = nastiness.tls === true ? makeSecurity(join(dir, name)) : undefined;
    const { kvorum } = options;
    const members = nastiness.members ?? 1;
    const rig = await Rig.open({ kvorum, members, tell, ...(security && { security }) });
    try {
      await nastiness.run(rig);
    } finally {
      await rig.close();
    }
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
