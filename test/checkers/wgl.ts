/**
 * The search of Wing and Gong with Lowe's memory ("Testing for linearizability", 2017): is there an
 * order of the operations, each between its call and its return, in which a sequential object gives
 * the same answers? Depth first over the entries: calls and returns by time, in a linked list from
 * which operations are lifted when they are placed. Sets of placed operations are remembered with
 * the states they led to. Models may be non-deterministic: `step` returns every possible state.
 *
 * Operations without a return may be placed anywhere after their call, or nowhere.
 */

/** A sequential object. */
export interface SequentialModel<State, Op> {
  readonly initial: readonly State[];
  /** States after `op`; none if it can't give the answer it gave. */
  step(state: State, op: Op): readonly State[];
  /** Equal for equal states. */
  key(state: State): string;
}

export interface TimedOp<Op> {
  readonly callMs: number;
  /** Infinity: never returned. */
  readonly returnMs: number;
  readonly op: Op;
}

export type WglVerdict =
  | { readonly ok: true; readonly steps: number }
  /** `reached`: operations of the longest order that could be found. */
  | { readonly ok: false; readonly steps: number; readonly reached: readonly number[] }
  /** Given up: too many possibilities. */
  | { readonly ok: undefined; readonly steps: number };

interface Entry {
  readonly id: number;
  /** The call's entry points to its return; undefined for a return. */
  match: Entry | undefined;
  previous: Entry | undefined;
  next: Entry | undefined;
}

interface Placed<State> {
  readonly call: Entry;
  readonly states: readonly State[];
}

/** Searches for an order; gives up after `stepsMax` steps. */
export function searchOrder<State, Op>(
  model: SequentialModel<State, Op>,
  ops: readonly TimedOp<Op>[],
  stepsMax = 1_000_000,
): WglVerdict {
  const head = entryList(ops);
  const required = ops.filter(({ returnMs }) => Number.isFinite(returnMs)).length;
  const placed: Placed<State>[] = [];
  const bits = new Uint8Array((ops.length >> 3) + 1);
  const seen = new Set<string>();
  let states: readonly State[] = model.initial;
  let requiredPlaced = 0;
  let longest: number[] = [];
  let steps = 0;
  let entry = head.next;
  while (requiredPlaced < required) {
    steps += 1;
    if (steps > stepsMax) return { ok: undefined, steps };
    if (entry?.match !== undefined) {
      const timed = ops[entry.id] as TimedOp<Op>;
      const after = nextStates(model, states, timed.op);
      if (after.length > 0 && remember(seen, bits, entry.id, after, model)) {
        placed.push({ call: entry, states });
        states = after;
        if (Number.isFinite(timed.returnMs)) requiredPlaced += 1;
        if (placed.length > longest.length) longest = placed.map(({ call }) => call.id);
        flip(bits, entry.id);
        lift(entry);
        entry = head.next;
      } else {
        entry = entry.next;
      }
      continue;
    }
    // A return, or the end: what is placed so far allows nothing more.
    const last = placed.pop();
    if (last === undefined) return { ok: false, steps, reached: longest };
    states = last.states;
    if (Number.isFinite((ops[last.call.id] as TimedOp<Op>).returnMs)) requiredPlaced -= 1;
    flip(bits, last.call.id);
    unlift(last.call);
    entry = last.call.next;
  }
  return { ok: true, steps };
}

function nextStates<State, Op>(
  model: SequentialModel<State, Op>,
  states: readonly State[],
  op: Op,
): readonly State[] {
  if (states.length === 1) return model.step(states[0] as State, op);
  const found = new Map<string, State>();
  for (const state of states) {
    for (const after of model.step(state, op)) found.set(model.key(after), after);
  }
  return [...found.values()];
}

function remember<State, Op>(
  seen: Set<string>,
  bits: Uint8Array,
  id: number,
  states: readonly State[],
  model: SequentialModel<State, Op>,
): boolean {
  flip(bits, id);
  const keys = states.map((state) => model.key(state)).sort();
  const key = `${Buffer.from(bits).toString('latin1')}|${keys.join('|')}`;
  flip(bits, id);
  if (seen.has(key)) return false;
  seen.add(key);
  return true;
}

function flip(bits: Uint8Array, id: number): void {
  bits[id >> 3] = (bits[id >> 3] ?? 0) ^ (1 << (id & 7));
}

/** Calls and returns by time (at the same time: calls first), behind a head of its own. */
function entryList<Op>(ops: readonly TimedOp<Op>[]): Entry {
  const moments: Array<{ readonly atMs: number; readonly isCall: boolean; readonly entry: Entry }> =
    [];
  for (const [id, { callMs, returnMs }] of ops.entries()) {
    const end: Entry = { id, match: undefined, previous: undefined, next: undefined };
    const call: Entry = { id, match: end, previous: undefined, next: undefined };
    moments.push({ atMs: callMs, isCall: true, entry: call });
    moments.push({ atMs: returnMs, isCall: false, entry: end });
  }
  moments.sort((a, b) => a.atMs - b.atMs || Number(b.isCall) - Number(a.isCall));
  const head: Entry = { id: -1, match: undefined, previous: undefined, next: undefined };
  let last = head;
  for (const { entry } of moments) {
    last.next = entry;
    entry.previous = last;
    last = entry;
  }
  return head;
}

function lift(call: Entry): void {
  for (const entry of [call, call.match]) {
    if (entry === undefined) continue;
    if (entry.previous !== undefined) entry.previous.next = entry.next;
    if (entry.next !== undefined) entry.next.previous = entry.previous;
  }
}

function unlift(call: Entry): void {
  for (const entry of [call.match, call]) {
    if (entry === undefined) continue;
    if (entry.previous !== undefined) entry.previous.next = entry;
    if (entry.next !== undefined) entry.next.previous = entry;
  }
}
