/**
 * The mutation gate (docs/simulation.md): eighteen known bugs, each put into a copy of the
 * compiled program, where the simulator must find it. A simulator that finds none proves nothing
 * by being green. The program itself knows nothing of this: a mutation is a change of text, and one
 * whose place is not found any more fails the gate.
 */

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Knobs } from './knobs.js';
import type { SimOptions } from './options.js';
import { Pool } from './pool.js';
import type { FaultKind } from './schedule.js';
import type { PlainResult } from './worker.js';

export interface Mutation {
  readonly name: string;
  /** Compiled file below src. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Topology that shows it soonest; undefined: as the seed says. */
  readonly size?: number;
  /** Faults that show it soonest. */
  readonly frequent?: readonly FaultKind[];
  readonly knobs?: Partial<Knobs>;
  /**
   * Where the search begins, if few seeds show it: shortly before one that did. After a change of
   * the program that may be another, which is found all the same, only later.
   */
  readonly firstSeed?: number;
}

/** Who was deposed goes on believing that it leads, for as long as it can. */
const deposing: readonly FaultKind[] = ['clock rate', 'isolate leader', 'isolate leader', 'pause'];
/** Entries that only few have, and leaders that change quickly (paper figure 8). */
const figure8: readonly FaultKind[] = [
  'isolate leader',
  'crash',
  'kill',
  'campaign',
  'slow disk',
  'partition',
];
/** One entry a message over long ways: old entries are acknowledged long before new ones. */
const figure8Knobs: Partial<Knobs> = {
  preVote: false,
  heartbeatMs: 50,
  electionMs: 250,
  latencyMs: { min: 5, max: 25 },
  clients: 8,
  thinkMs: 10,
  tuning: {
    appendBytesMax: 64,
    inflightAppendsMax: 1,
    applyBytesMax: 1000,
    lookEntries: 50,
    walSegmentBytes: 65_536,
    requestTimeoutBaseMs: 5000,
  },
};

export const mutations: readonly Mutation[] = [
  {
    name: 'local reads on the leader',
    file: 'raft/replication.js',
    find: 'const confirmed = quorumValue(state.configuration, leadership.readAckedOf);',
    replace: 'const confirmed = Number.POSITIVE_INFINITY;',
    size: 3,
    frequent: deposing,
    firstSeed: 8,
  },
  {
    name: 'acknowledge before fsync',
    file: 'server/node/loop.js',
    find: 'const write = { ready, durable: !ready.mustSync };',
    replace: 'const write = { ready, durable: true };',
  },
  {
    name: 'drop a watch event',
    file: 'server/watch/hub.js',
    find: 'for (const event of commit.events) {',
    replace: 'for (const event of commit.events.slice(revision % 9 === 0 ? 1 : 0)) {',
  },
  {
    name: 'duplicate a watch event',
    file: 'server/watch/hub.js',
    find: 'this.#backpressure.offer(at, slot);',
    replace:
      'for (let i = revision % 9 === 0 ? 0 : 1; i < 2; i++) ' +
      "if (at.is('synced')) this.#backpressure.offer(at, slot);",
  },
  {
    name: 'split the events of a transaction',
    file: 'server/watch/hub.js',
    find: 'for (const event of commit.events) {',
    replace: 'for (const event of commit.events) { this.flush(true);',
  },
  {
    name: 'commit entries of an old term',
    file: 'raft/replication.js',
    find: 'if (index <= before || log.term(index) !== state.term)',
    replace: 'if (index <= before)',
    size: 3,
    frequent: figure8,
    knobs: figure8Knobs,
    firstSeed: 33,
  },
  {
    name: 'skip the consistent index',
    file: 'storage/mvcc/flusher.js',
    find: 'index: unit.applied.index,',
    replace: 'index: Math.max(stored.index, unit.applied.index - 1),',
  },
  {
    name: 'reuse the id of a ReadIndex request',
    file: 'raft/read-index.js',
    find: 'this.sequence += 1;',
    replace: 'this.sequence = 1;',
    size: 3,
    frequent: deposing,
    firstSeed: 5,
  },
  {
    name: 'vote twice in a term',
    file: 'raft/candidate.js',
    find: '(state.vote === 0n && state.leader === 0n)',
    replace: '(state.leader === 0n)',
  },
  {
    name: 'lose leases on a change of leader',
    file: 'server/lease/lessor.js',
    find: 'return this.#promotedMs + remainingMs(lease) + this.#extendMs;',
    replace: 'return this.#promotedMs;',
  },
  {
    name: 'keep what leases had before a snapshot was installed',
    file: 'server/lease/feature.js',
    find: 'keys: { keysOf: (id) => host.store.present.keysOf(id) },',
    replace: 'keys: host.store.present,',
  },
  {
    name: 'a stale read returned as a linearizable one',
    file: 'server/kv/rpc.js',
    find: 'if (request.serializable)\n        roomForRange(reading);',
    replace: 'if (request.serializable || request.rangeEnd !== "")\n        roomForRange(reading);',
    size: 3,
  },
  {
    name: 'compact one revision too many',
    file: 'storage/mvcc/compactor.js',
    find: 'compactItem(item, revision, batch.drop)',
    replace: 'compactItem(item, revision + 1, batch.drop)',
  },
  {
    // What a client asks for is committed, and every member that applies it ends, at each start.
    name: 'a large transaction throws when it is applied',
    file: 'server/node/loop.js',
    find: 'applier.apply(entry)',
    replace:
      '(() => { if (entry.data[1] === 3 && entry.data.length > 4000) ' +
      'throw new RangeError("Maximum call stack size exceeded"); return applier.apply(entry); })()',
  },
  {
    // Of a proposal that was allowed when it was made: at apply nobody asks again.
    name: 'permissions are only checked at the door',
    file: 'server/node/apply.js',
    find: 'const refusal = callerRefusal(type, this.#o.access, caller, request);',
    replace: 'const refusal = undefined;',
    knobs: { auth: true },
  },
  {
    name: 'what a user may do is remembered too long',
    file: 'server/access/permission-cache.js',
    find: 'this.#byUser.clear();',
    replace: '',
    knobs: { auth: true },
  },
  {
    // Only a later term shows that it is in none.
    name: 'propose again what may be in a log',
    file: 'server/node/proposals.js',
    find: 'pending.sentTerm >= term',
    replace: 'pending.sentTerm > term',
    size: 3,
    frequent: ['kill', 'kill', 'campaign'],
  },
  {
    name: 'an expired proposal is executed',
    file: 'server/node/loop.js',
    find: 'return pending.deadlineMs <= nowMs || pending.isAbandoned;',
    replace: 'return false;',
    size: 3,
    frequent: ['no leader'],
  },
];

/** Seeds that a mutation may need: far more than any needs now. */
const seedsMax = 400;

/** Exit code 1 unless every mutation was found. */
export async function runMutations(options: SimOptions, script: string): Promise<number> {
  const { mutation: only, seed: first } = options;
  const chosen = mutations.filter(({ name }) => only === '' || name.includes(only));
  let found = 0;
  for (const mutation of chosen) {
    const startedMs = performance.now();
    const outcome = await huntOne(options, script, mutation, first + (mutation.firstSeed ?? 1) - 1);
    const tookMs = performance.now() - startedMs;
    const took = `${(tookMs / 1000).toFixed(1)} s`;
    if (typeof outcome === 'string') {
      process.stdout.write(`NOT FOUND  ${mutation.name}: ${outcome} (${took})\n`);
      continue;
    }
    found += 1;
    const { seed, violations } = outcome.result;
    const rule = violations[0]?.rule;
    const what = violations[0]?.what.split('\n')[0]?.slice(0, 140);
    process.stdout.write(
      `found  ${mutation.name}: seed ${seed}, after ${outcome.seeds} seeds and ${took}, ` +
        `by "${rule}": ${what}\n`,
    );
  }
  process.stdout.write(`\n${found} of ${chosen.length} mutations found\n`);
  return found === chosen.length ? 0 : 1;
}

async function huntOne(
  options: SimOptions,
  script: string,
  mutation: Mutation,
  first: number,
): Promise<{ readonly result: PlainResult; readonly seeds: number } | string> {
  // The tree that this program was compiled to, and a copy of it beside it.
  const tree = dirname(dirname(dirname(script)));
  const copy = join(tree, '.mutant');
  try {
    plant(tree, copy, mutation);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const pool = new Pool(join(copy, script.slice(tree.length)), options.workers);
  const plain = new Pool(script, 1);
  const { steps, faults } = options;
  const { size, frequent, knobs } = mutation;
  const shape = {
    ...(size === undefined ? {} : { size }),
    ...(frequent === undefined ? {} : { frequent }),
    ...(knobs === undefined ? {} : { knobs }),
  };
  let seeds = 0;
  let next = first;
  let hit: PlainResult | undefined;
  const hunt = async (): Promise<void> => {
    while (hit === undefined && next < first + seedsMax) {
      const seed = next;
      next += 1;
      const result = await pool.run({ seed, steps, faults, ...shape });
      seeds += 1;
      if (result.violations.length === 0 || hit !== undefined) continue;
      // What fails without the bug as well does not show that the bug was found.
      const before = await plain.run({ seed, steps, faults, ...shape });
      if (before.violations.length === 0) hit ??= result;
    }
  };
  await Promise.all(Array.from({ length: options.workers }, hunt));
  pool.stop();
  plain.stop();
  rmSync(copy, { recursive: true, force: true });
  return hit === undefined ? `not within ${seeds} seeds` : { result: hit, seeds };
}

/** Copies the program and changes it. Throws if the place is not found exactly once. */
export function plant(tree: string, copy: string, mutation: Mutation): void {
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  for (const part of ['src', 'test']) {
    cpSync(join(tree, part), join(copy, part), { recursive: true });
  }
  const path = join(copy, 'src', mutation.file);
  const text = readFileSync(path, 'utf8');
  const places = text.split(mutation.find).length - 1;
  if (places !== 1) throw new Error(`${places} places for it in ${mutation.file}`);
  writeFileSync(
    path,
    text.replace(mutation.find, () => mutation.replace),
  );
}

/** For a test: the compiled file's source, which tells whether a mutation still has its place. */
export function sourceOf(mutation: Mutation): string {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  return join(root, 'src', mutation.file.replace(/\.js$/, '.ts'));
}
