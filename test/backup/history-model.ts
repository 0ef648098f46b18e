/** A cluster of one member whose whole history a model knows, and what a restore has to give. */

import type { KeyString } from '../../src/common/index.js';
import {
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodeLeaseGrantRequest,
  encodePutRequest,
} from '../../src/proto/index.js';
import { decodeRecord, type MvccStore } from '../../src/storage/index.js';
import { SimMachine, type SimProcess } from '../crash/sim-node.js';

/** A key as it has to be. */
export interface ModelKey {
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
}

export type ModelState = ReadonlyMap<KeyString, ModelKey>;

/** What it is told is what happened. */
export class HistoryModel {
  revision = 1;
  compactRevision = -1;
  readonly leases = new Set<bigint>();
  /** By revision; the first is empty. */
  readonly states: ModelState[] = [new Map(), new Map()];

  get present(): ModelState {
    return this.states[this.revision] as ModelState;
  }

  /** One revision with these changes; undefined: deleted. Nothing changed: no revision. */
  change(changes: ReadonlyArray<readonly [KeyString, string | undefined, bigint]>): void {
    const next = new Map(this.present);
    const main = this.revision + 1;
    let count = 0;
    for (const [key, value, lease] of changes) {
      const before = next.get(key);
      if (value === undefined) {
        if (next.delete(key)) count += 1;
        continue;
      }
      count += 1;
      const createRevision = before?.createRevision ?? main;
      const version = (before?.version ?? 0) + 1;
      next.set(key, { value, createRevision, modRevision: main, version, lease });
    }
    if (count === 0) return;
    this.revision = main;
    this.states.push(next);
  }
}

/** Numbers below, from a seed. */
type Below = (count: number) => number;

const keyCount = 12;

/** A member that does random things, and the model that knows what it did. */
export class RandomHistory {
  readonly model = new HistoryModel();
  readonly machine: SimMachine;
  #process: SimProcess | undefined;
  readonly #below: Below;
  #nextLease = 1n;

  constructor(seed: number) {
    this.machine = new SimMachine(seed);
    const random = this.machine.random.fork();
    this.#below = (count) => random.below(count);
  }

  get store(): MvccStore {
    return this.process.node.store;
  }

  get process(): SimProcess {
    if (this.#process === undefined) throw new Error('it is not started');
    return this.#process;
  }

  /** Serves, with these flags. */
  async start(...flags: readonly string[]): Promise<void> {
    this.#process = await this.machine.start(...flags);
    this.process.node.serve();
  }

  /** Does so many random things, with pauses in between. */
  async act(count: number, pauseMsMax: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      await this.#act();
      await this.pause(this.#below(pauseMsMax + 1));
    }
  }

  pause(ms: number): Promise<void> {
    const { clock } = this.machine;
    return clock.run(clock.nowMs() + ms);
  }

  below(count: number): number {
    return this.#below(count);
  }

  async #act(): Promise<void> {
    const kind = this.#below(20);
    if (kind < 10) return this.#put();
    if (kind < 13) return this.#delete();
    if (kind < 16) return this.#txn();
    if (kind < 17) return this.#grant();
    if (kind < 18) return this.#revoke();
    if (kind < 19) return this.#compact();
    return this.#call('Lease/LeaseGrant', encodeLeaseGrantRequest({ id: 0n, ttlSeconds: 5000 }));
  }

  async #put(): Promise<void> {
    const [key, value, lease] = [this.#key(), this.#value(), this.#lease()];
    await this.#call('KV/Put', encodePutRequest({ key, value: Buffer.from(value), lease }));
    this.model.change([[key, value, lease]]);
  }

  async #delete(): Promise<void> {
    const from = this.#key();
    const to = this.#key();
    if (this.#below(2) === 0) {
      await this.#call('KV/DeleteRange', encodeDeleteRangeRequest({ key: from }));
      return this.model.change([[from, undefined, 0n]]);
    }
    const rangeEnd = to > from ? to : `${from}~`;
    await this.#call('KV/DeleteRange', encodeDeleteRangeRequest({ key: from, rangeEnd }));
    const keys = [...this.model.present.keys()].filter((key) => key >= from && key < rangeEnd);
    this.model.change(keys.sort().map((key) => [key, undefined, 0n] as const));
  }

  /** Some puts, and deletions of other keys. */
  async #txn(): Promise<void> {
    const keys = new Set(Array.from({ length: 1 + this.#below(5) }, () => this.#key()));
    const changes: Array<readonly [KeyString, string | undefined, bigint]> = [];
    for (const key of keys) {
      const isPut = this.#below(3) > 0;
      changes.push([key, isPut ? this.#value() : undefined, isPut ? this.#lease() : 0n]);
    }
    await this.#call('KV/Txn', txnRequest(changes));
    this.model.change(changes);
  }

  async #grant(): Promise<void> {
    const id = this.#nextLease++;
    await this.#call('Lease/LeaseGrant', encodeLeaseGrantRequest({ id, ttlSeconds: 10_000 }));
    this.model.leases.add(id);
  }

  async #revoke(): Promise<void> {
    const [id] = this.model.leases;
    if (id === undefined) return;
    await this.#call('Lease/LeaseRevoke', Buffer.of(0x08, Number(id)));
    this.model.leases.delete(id);
    const keys = [...this.model.present].filter(([, { lease }]) => lease === id);
    this.model.change(keys.map(([key]) => [key, undefined, 0n] as const));
  }

  async #compact(): Promise<void> {
    const { model } = this;
    const revision = model.revision - this.#below(20);
    if (revision <= Math.max(1, model.compactRevision)) return;
    await this.#call('KV/Compact', encodeCompactionRequest({ revision, physical: true }));
    model.compactRevision = revision;
  }

  async #call(method: string, request: Uint8Array): Promise<void> {
    const outcome = await this.machine.clock.runUntil(this.process.call(method, request));
    if (!outcome.ok) throw new Error(`${method}: ${outcome.text}`);
  }

  #key(): KeyString {
    return `key${String(this.#below(keyCount)).padStart(2, '0')}`;
  }

  #value(): string {
    return `${this.#below(1_000_000)} `.repeat(1 + this.#below(20));
  }

  #lease(): bigint {
    const leases = [...this.model.leases];
    if (leases.length === 0 || this.#below(3) > 0) return 0n;
    return leases[this.#below(leases.length)] ?? 0n;
  }
}

/** TxnRequest: 2 success; RequestOp: 2 put, 3 delete range. */
function txnRequest(
  changes: ReadonlyArray<readonly [KeyString, string | undefined, bigint]>,
): Buffer {
  const ops = changes.map(([key, value, lease]) => {
    if (value === undefined) return field(3, encodeDeleteRangeRequest({ key }));
    return field(2, encodePutRequest({ key, value: Buffer.from(value), lease }));
  });
  return Buffer.concat(ops.map((op) => field(2, op)));
}

function field(number: number, bytes: Uint8Array): Buffer {
  const length: number[] = [];
  let rest = bytes.length;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) length.push((rest % 128) | 0x80);
  return Buffer.concat([Buffer.of(number * 8 + 2, ...length, rest), bytes]);
}

/** What is in a store at a revision. */
export async function stateAt(
  machine: SimMachine,
  store: MvccStore,
  revision: number,
): Promise<ModelState> {
  const everything = {
    ...{ key: '\0', rangeEnd: '\0', limit: 0, keysOnly: false, countOnly: false },
    ...{ sortOrder: 0, sortTarget: 0, minModRevision: 0, maxModRevision: 0 },
    ...{ minCreateRevision: 0, maxCreateRevision: 0 },
  };
  const at = { main: revision, sub: Number.POSITIVE_INFINITY };
  const answer = Promise.resolve(store.range(everything, at));
  const { kvs } = await machine.clock.runUntil(answer);
  return new Map(
    kvs.map((bytes) => {
      const { key, value, ...rest } = decodeRecord(bytes);
      return [key, { ...rest, value: Buffer.from(value).toString() }];
    }),
  );
}

/** Copies all files of a folder from one machine to another. */
export function copyTree(from: SimMachine, to: SimMachine, folder: string): void {
  for (const [path] of from.disk.tree(folder)) to.disk.plant(path, from.disk.peek(path));
}
