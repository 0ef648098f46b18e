/** What operations cost when it was last written down, and what is more than that. */

import type { Costs } from './measure.js';

/** By version of Node (`node 20`), then by load; each cost for one operation. */
export type Baseline = Readonly<Record<string, Readonly<Record<string, Costs>>>>;

/** Something costs more than it did. */
export interface Finding {
  readonly load: string;
  readonly what: string;
  readonly was: number;
  readonly is: number;
}

/**
 * How much more than in the baseline is let pass: a share of it, and a little that nobody would
 * see. What the ports count depends on how writes fall together in turns of the event loop, what is
 * allocated also on what V8 has optimised by then.
 */
const tolerance: Readonly<Record<string, { readonly share: number; readonly least: number }>> = {
  heapBytes: { share: 0.25, least: 128 },
  // Memory comes in chunks of a megabyte, of which a window has a few more or less.
  bufferBytes: { share: 0.5, least: 1024 },
  buffersMade: { share: 0.1, least: 0.1 },
  bytesCopied: { share: 0.1, least: 16 },
  socketWrites: { share: 0.05, least: 0.02 },
  socketBytes: { share: 0.05, least: 4 },
  diskWrites: { share: 0.1, least: 0.02 },
  diskBytes: { share: 0.1, least: 16 },
  // Written every few seconds: a window has a flush more or less.
  kvWrites: { share: 1, least: 0.02 },
  kvBytes: { share: 1, least: 512 },
  // Some come by the clock: of those a long operation on a slow machine has more.
  timers: { share: 0.25, least: 0.25 },
};

/** Where `counted` is above the baseline of this version of Node, by more than is let pass. */
export function compare(
  counted: Readonly<Record<string, Costs>>,
  baseline: Baseline,
  version: string,
): Finding[] {
  const findings: Finding[] = [];
  for (const [load, costs] of Object.entries(counted)) {
    const known = baseline[version]?.[load];
    if (known === undefined) continue;
    for (const [what, is] of Object.entries(costs)) {
      const was = known[what] ?? 0;
      const { share, least } = tolerance[what] ?? { share: 0, least: 0 };
      if (is > was * (1 + share) + least) findings.push({ load, what, was, is });
    }
  }
  return findings;
}

/** The costs of a load, one a line, with those of the baseline. */
export function tableOf(load: string, costs: Costs, known: Costs | undefined): string {
  const lines = [`\n${load}`];
  for (const [what, is] of Object.entries(costs)) {
    const was = known?.[what];
    const before = was === undefined ? '' : `   (${format(was)})`;
    lines.push(`  ${what.padEnd(14)} ${format(is).padStart(10)}${before}`);
  }
  return lines.join('\n');
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : Number(value.toPrecision(3)).toString();
}
