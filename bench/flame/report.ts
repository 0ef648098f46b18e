/** Tables of a profile for people. */

import type { LoadResult } from '../load/types.js';
import { type FunctionCost, functionsOf, totalOf } from './profile.js';
import type { Sources } from './sources.js';
import type { CostNode, ProfileKind } from './types.js';

export interface Profiled {
  readonly load: string;
  readonly kind: ProfileKind;
  /** What one operation is. */
  readonly unit: string;
  readonly result: LoadResult;
  /** Without idle time. */
  readonly costs: CostNode;
  /** Share of the time that the main thread was not idle. */
  readonly busy: number;
  readonly sources: Sources;
  readonly top: number;
}

/** A heading with the whole, and a table of functions by what they cost themselves. */
export function report(profiled: Profiled): string {
  const { kind, costs, result, top, sources } = profiled;
  const whole = totalOf(costs);
  const functions = functionsOf(costs, sources).slice(0, top);
  const each = kind === 'cpu' ? 'us each' : 'bytes each';
  const header = [kind === 'cpu' ? 'self' : 'allocated', 'self', each, 'with callees', 'function'];
  const rows = functions.map((one) => rowOf(one, kind, whole, result.operations));
  return ['', headingOf(profiled, whole), '', ...aligned([header, ...rows])].join('\n');
}

function headingOf({ load, kind, unit, result, busy }: Profiled, whole: number): string {
  const { operations, seconds } = result;
  const done = `${operations} in ${seconds.toFixed(1)} s`;
  const each = (whole / operations).toFixed(kind === 'cpu' ? 1 : 0);
  if (kind === 'heap') {
    return `${load}, allocations (one: ${unit}): ${each} bytes of JavaScript heap each; ${done}`;
  }
  const percent = Math.round(busy * 100);
  return `${load}, CPU (one: ${unit}): ${each} us of the main thread each; ${done}, ${percent} % busy`;
}

function rowOf(one: FunctionCost, kind: ProfileKind, whole: number, operations: number): string[] {
  const percent = (cost: number): string => `${((cost / whole) * 100).toFixed(1)} %`;
  const each = (one.self / operations).toFixed(kind === 'cpu' ? 2 : 0);
  const where = `${one.name}  ${one.place}`.trimEnd();
  return [textOf(kind, one.self), percent(one.self), each, percent(one.total), where];
}

/** A cost with its unit. */
export function textOf(kind: ProfileKind, cost: number): string {
  if (kind === 'cpu') return `${(cost / 1000).toFixed(1)} ms`;
  return `${(cost / 1024 / 1024).toFixed(2)} MB`;
}

/** Columns of numbers end in line; the last column is text. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_none, i) =>
    Math.max(...rows.map((row) => row[i]?.length ?? 0)),
  );
  return rows.map((row) =>
    row.map((cell, i) => (i === row.length - 1 ? cell : cell.padStart(widths[i] ?? 0))).join('  '),
  );
}
