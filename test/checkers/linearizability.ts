/**
 * Linearizability without a look at revisions, so that a bug in the revisions themselves is found
 * (docs/simulation.md). Operations are projected on each key they touch: an order of
 * the whole gives an order of each projection, so a key without one is a violation. Long histories
 * are looked at in windows, which begin in an unknown state: the first read says what it is.
 *
 * Keys with leases are left out (they vanish by themselves), and so are stale reads and reads of
 * the past.
 */

import { type Condition, describe, type History, type Op, type Operation } from './history.js';
import { Report } from './report.js';
import { isInRange } from './truth.js';
import { type SequentialModel, searchOrder, type TimedOp } from './wgl.js';

export interface WindowOptions {
  /** A key with at most this many operations is searched as a whole, others in windows of it. */
  readonly windowOps: number;
  /** At most this many windows in total, spread over the history. */
  readonly windowsMax: number;
  /** Operations without an answer whose effect was seen; windows with more are left out. */
  readonly unknownMax: number;
  readonly stepsMax: number;
  /**
   * When an operation without an answer had been done at the latest; undefined: it never was.
   * Infinity, and nothing known, if this is not given.
   */
  readonly doneByMs?: (operation: Operation) => number | undefined;
}

export const windowDefaults: WindowOptions = {
  windowOps: 60,
  windowsMax: 500,
  unknownMax: 6,
  stepsMax: 200_000,
};

/** Value of a key; null: not there; `anything`: not known yet. */
type State = string | null | typeof anything;
const anything = Symbol('anything');

type Step =
  | { readonly type: 'put'; readonly value: string }
  | { readonly type: 'delete'; readonly existed: boolean | undefined }
  | { readonly type: 'is'; readonly value: string | null }
  | { readonly type: 'isNot'; readonly value: string | null }
  | { readonly type: 'exists' };

/** What an operation did to one key: one of these, each all or nothing. */
type Alternatives = ReadonlyArray<readonly Step[]>;

interface Projected extends TimedOp<Alternatives> {
  readonly operation: Operation;
}

const register: SequentialModel<State, Alternatives> = {
  initial: [null],
  step(state, alternatives) {
    const results: State[] = [];
    for (const steps of alternatives) {
      let now: State | undefined = state;
      for (const step of steps) {
        now = take(now, step);
        if (now === undefined) break;
      }
      if (now !== undefined) results.push(now);
    }
    return results;
  },
  key: (state) => (state === anything ? '*' : state === null ? '-' : `=${state}`),
};
const windowRegister: SequentialModel<State, Alternatives> = { ...register, initial: [anything] };

function take(state: State, step: Step): State | undefined {
  switch (step.type) {
    case 'put':
      return step.value;
    case 'delete':
      if (step.existed === undefined || state === anything) return null;
      return step.existed === (state !== null) ? null : undefined;
    case 'is':
      return state === anything || state === step.value ? step.value : undefined;
    case 'isNot':
      return state !== anything && state === step.value ? undefined : state;
    case 'exists':
      return state === null ? undefined : state;
  }
}

export interface WindowReport {
  readonly report: Report;
  readonly windows: number;
  readonly operations: number;
  /** Too many unknown outcomes, or too many possibilities. */
  readonly leftOut: number;
}

export function checkLinearizable(
  history: History,
  options: Partial<WindowOptions> = {},
): WindowReport {
  const o = { ...windowDefaults, ...options };
  const report = new Report();
  const windows = windowsOf(history, o);
  let operations = 0;
  let leftOut = 0;
  for (const { key, ops, fromStart } of windows) {
    const unknown = ops.filter(({ returnMs }) => !Number.isFinite(returnMs)).length;
    if (unknown > o.unknownMax) {
      leftOut += 1;
      continue;
    }
    const verdict = searchOrder(fromStart ? register : windowRegister, ops, o.stepsMax);
    if (verdict.ok === undefined) {
      leftOut += 1;
      continue;
    }
    operations += ops.length;
    report.check('linearizable', verdict.ok, () => explain(key, ops), ops[0]?.callMs);
  }
  return { report, windows: windows.length, operations, leftOut };
}

interface Window {
  readonly key: string;
  readonly ops: readonly Projected[];
  /** The state before the first operation is known: nothing there. */
  readonly fromStart: boolean;
}

function windowsOf(history: History, o: WindowOptions): Window[] {
  const whole: Array<() => Window> = [];
  const parts: Array<() => Window> = [];
  for (const [key, ops] of projections(history, o)) {
    if (ops.length <= o.windowOps) {
      whole.push(() => ({ key, ops: withoutUnseen(ops), fromStart: true }));
      continue;
    }
    for (let from = 0; from < ops.length; from += o.windowOps) {
      parts.push(() => windowAt(key, ops, from, from + o.windowOps));
    }
  }
  // Only those that are looked at are made: there may be many more.
  const all = [...whole, ...parts];
  if (all.length <= o.windowsMax) return all.map((make) => make());
  const every = all.length / o.windowsMax;
  return Array.from({ length: o.windowsMax }, (_, i) => all[Math.floor(i * every)]?.() as Window);
}

/** Operations called in the window, and writes around it that may take effect in it. */
function windowAt(key: string, ops: readonly Projected[], from: number, to: number): Window {
  const inside = ops.slice(from, to);
  const startMs = inside[0]?.callMs ?? 0;
  let endMs = startMs;
  for (const { operation } of inside)
    if (operation.outcome === 'ok') endMs = Math.max(endMs, operation.returnMs);
  // These may have taken effect outside, and are not in the order then.
  const optional = ({ operation, returnMs, ...rest }: Projected): Projected => ({
    ...rest,
    operation,
    returnMs: Number.POSITIVE_INFINITY,
    op: Number.isFinite(returnMs) ? answered(operation, key, false) : rest.op,
  });
  const before = ops
    .slice(0, from)
    .filter(({ returnMs, operation }) => returnMs >= startMs && mayWrite(operation));
  const after = ops
    .slice(to)
    .filter(({ callMs, operation }) => callMs <= endMs && mayWrite(operation));
  // One without an answer may have been done after the last of those that have one.
  const own = inside.map((one) => (one.returnMs > endMs ? optional(one) : one));
  const all = [...before.map(optional), ...own, ...after.map(optional)];
  return { key, ops: withoutUnseen(all), fromStart: from === 0 };
}

/**
 * A put without an answer whose value nobody saw can as well not have happened: leaving it out of
 * the order changes no answer. (A failed condition answers with what it saw.)
 */
function withoutUnseen(ops: readonly Projected[]): Projected[] {
  const seen = new Set<string>();
  for (const { op } of ops) {
    for (const steps of op) {
      // What it reads of itself does not tell what was there before.
      const own = steps.findIndex(({ type }) => type === 'put' || type === 'delete');
      const before = own < 0 ? steps : steps.slice(0, own);
      const reads = before.some(({ type }) => type === 'is');
      for (const step of steps) {
        if (step.type === 'is' && step.value !== null) seen.add(step.value);
        // What the value was is not told, so it may be anybody's.
        if ((step.type === 'isNot' || step.type === 'exists') && !reads) return [...ops];
        if (step.type === 'delete' && step.existed === true) return [...ops];
      }
    }
  }
  return ops.filter(({ op, returnMs }) => {
    if (Number.isFinite(returnMs)) return true;
    return op.flat().some((step) => step.type === 'delete' || isSeen(step, seen));
  });
}

function isSeen(step: Step, seen: ReadonlySet<string>): boolean {
  return step.type === 'put' && seen.has(step.value);
}

function mayWrite({ request, outcome, response }: Operation): boolean {
  if (outcome === 'failed') return false;
  const ops =
    response === undefined
      ? [...request.success, ...request.failure]
      : response.succeeded
        ? request.success
        : request.failure;
  return ops.some(({ type }) => type !== 'get');
}

/** The operations of each key, by time of call. */
function projections(history: History, o: WindowOptions): Map<string, Projected[]> {
  const keys = new Set<string>();
  const leased = new Set<string>();
  for (const { request } of history) {
    // Nobody else has these keys, and their values say nothing.
    if (request.isHostile) continue;
    for (const op of [...request.success, ...request.failure]) {
      if (op.type !== 'put') continue;
      keys.add(op.key);
      if (op.lease !== 0n) leased.add(op.key);
    }
  }
  const result = new Map<string, Projected[]>();
  const sorted = [...keys].filter((key) => !leased.has(key)).sort();
  for (const key of sorted) result.set(key, []);
  for (const operation of history) {
    if (!isLinearizable(operation)) continue;
    const returnMs = returnOf(operation, o);
    if (returnMs === undefined) continue;
    for (const key of touched(operation, sorted)) {
      const op = answered(operation, key, operation.outcome === 'ok');
      const { callMs } = operation;
      result.get(key)?.push({ callMs, returnMs, op, operation });
    }
  }
  return result;
}

/** Undefined: it was never done. */
function returnOf(operation: Operation, { doneByMs }: WindowOptions): number | undefined {
  if (operation.outcome === 'ok' || doneByMs === undefined) return operation.returnMs;
  return doneByMs(operation);
}

function isLinearizable(operation: Operation): boolean {
  const { request, outcome } = operation;
  if (request.kind === 'compact' || request.serializable || outcome === 'failed') return false;
  if (request.isHostile) return false;
  return outcome === 'ok' || mayWrite(operation);
}

function touched({ request }: Operation, sorted: readonly string[]): Iterable<string> {
  const ops = [...request.success, ...request.failure];
  const found = new Set<string>(request.conditions.map(({ key }) => key));
  for (const op of ops) {
    // Nested ones are only in hostile requests.
    if (op.type === 'txn') continue;
    if (op.type === 'put' || op.end === '') found.add(op.key);
    else for (const key of sorted) if (isInRange(key, op.key, op.end)) found.add(key);
  }
  return [...found].filter((key) => sorted.includes(key));
}

function answered(operation: Operation, key: string, isKnown: boolean): Alternatives {
  const { request, response } = operation;
  const holds = request.conditions.filter((condition) => condition.key === key).flatMap(stepsOf);
  if (!isKnown || response === undefined) {
    // It may have gone either way, and nobody saw the answer.
    const success = [...holds, ...effects(request.success, key)];
    if (request.failure.length === 0) return [success];
    return [success, effects(request.failure, key)];
  }
  if (response.succeeded) return [[...holds, ...results(request.success, operation, key)]];
  const only = request.conditions.length === 1 ? request.conditions[0] : undefined;
  const not = only?.key === key ? opposite(only) : [];
  const rest = results(request.failure, operation, key);
  return not.length === 0 ? [rest] : not.map((steps) => [...steps, ...rest]);
}

function effects(ops: readonly Op[], key: string): Step[] {
  return ops.flatMap((op): Step[] => {
    if (op.type === 'put') return op.key === key ? [{ type: 'put', value: op.value }] : [];
    if (op.type !== 'delete' || !isInRange(key, op.key, op.end)) return [];
    return [{ type: 'delete', existed: undefined }];
  });
}

function results(ops: readonly Op[], operation: Operation, key: string): Step[] {
  return ops.flatMap((op, i): Step[] => {
    const result = operation.response?.results[i];
    if (op.type === 'put') return op.key === key ? [{ type: 'put', value: op.value }] : [];
    if (op.type === 'txn' || !isInRange(key, op.key, op.end)) return [];
    if (op.type === 'delete') {
      const deleted = result?.type === 'delete' ? result.deleted : 0;
      const existed = op.end === '' ? deleted > 0 : deleted === 0 ? false : undefined;
      return [{ type: 'delete', existed }];
    }
    if (op.revision !== 0 || result?.type !== 'get') return [];
    return [{ type: 'is', value: result.kvs.find((kv) => kv.key === key)?.value ?? null }];
  });
}

/** What a condition that holds says about the value; nothing if it can't be put in values. */
function stepsOf(condition: Condition): Step[] {
  if (condition.target === 'value') {
    if (condition.result === '=') return [{ type: 'is', value: condition.value }];
    if (condition.result !== '!=') return [{ type: 'exists' }];
    return [{ type: 'exists' }, { type: 'isNot', value: condition.value }];
  }
  if (condition.target === 'lease' || condition.target === 'unknown') return [];
  const { result, number, valueThen } = condition;
  if (number === 0 && result === '=') return [{ type: 'is', value: null }];
  if (number === 0 && result !== '<') return [{ type: 'exists' }];
  if (condition.target === 'mod' && result === '=' && valueThen !== undefined) {
    return [{ type: 'is', value: valueThen }];
  }
  return [];
}

/** What a condition that does not hold says: one of these; nothing if that is not known. */
function opposite(condition: Condition): Step[][] {
  const steps = stepsOf(condition);
  const only = steps[0];
  if (steps.length !== 1 || only === undefined) return [];
  if (only.type === 'is') return [[{ type: 'isNot', value: only.value }]];
  if (only.type === 'exists' && condition.target !== 'value')
    return [[{ type: 'is', value: null }]];
  return [];
}

function explain(key: string, ops: readonly Projected[]): string {
  const lines = ops.map(({ operation }) => `    ${describe(operation)}`);
  return `no order of the operations on ${key} explains their answers:\n${lines.join('\n')}`;
}
