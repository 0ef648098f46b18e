/**
 * Reads the history of the store behind everybody else, so that it is kept when a compaction takes
 * it: changes, leases that go by, and what time it was. Memory is bounded: where too much waits to
 * be written, it reads no further.
 */

import { type ChangeLine, type Line, RevisionDigest } from '../../backup/index.js';
import {
  assert,
  backupChangeOverheadBytes,
  backupGatherBytes,
  backupPageBytes,
  backupPageRevisions,
  backupWaitingBytesMax,
  type Clock,
  keyToBytes,
  type Revision,
  Slice,
} from '../../common/index.js';
import { decodeRecord, encodeRecord, type MvccEvent, type MvccStore } from '../../storage/index.js';
import { decodeLeaseRecord, leaseMetaName, leaseMetaPrefix } from '../lease/index.js';

/** What of a store it reads. */
export type FollowedStore = Pick<MvccStore, 'history' | 'meta' | 'metaEntries' | 'revision'>;

/** Lines that wait to be written, up to a whole revision. */
export interface Gathered {
  readonly from: Revision;
  readonly to: Revision;
  readonly lines: readonly Line[];
  readonly changes: number;
  readonly bytes: number;
}

export class HistoryFollower {
  readonly #store: FollowedStore;
  readonly #clock: Clock;
  /** The last revision that was read. */
  #read: Revision;
  #from: Revision;
  #lines: Line[] = [];
  #changes = 0;
  #bytes = 0;
  /** Leases whose line is among those that wait. */
  #noted = new Set<bigint>();

  /** Reads what comes after `revision`. */
  constructor(store: FollowedStore, clock: Clock, revision: Revision) {
    this.#store = store;
    this.#clock = clock;
    this.#read = revision;
    this.#from = revision + 1;
  }

  /** There is enough for a file. */
  get isFull(): boolean {
    return this.#bytes >= backupGatherBytes;
  }

  get hasChanges(): boolean {
    return this.#changes > 0;
  }

  /** Reads on, to the present revision or as far as there is room. Rejects with COMPACTED. */
  async poll(): Promise<void> {
    while (this.#read < this.#store.revision && this.#bytes < backupWaitingBytesMax) {
      const from = this.#read + 1;
      const page = await this.#store.history(from, backupPageRevisions, backupPageBytes);
      const slice = new Slice(this.#clock);
      for (const event of page.events) {
        this.#add(lineOf(event));
        if (!slice.next()) await slice.rest();
      }
      assert(page.throughRevision >= this.#read, 'history goes forward');
      // The store was replaced by an older state meanwhile: the next look sees that.
      if (page.throughRevision === this.#read) return;
      this.#read = page.throughRevision;
      // Behind the reading: at that time it was there for sure.
      const wallMs = this.#clock.wallMs();
      this.#lines.push({ kind: 'time', wallMs, revision: this.#read });
    }
  }

  /** All that waits; it does not any more. */
  take(): Gathered {
    const gathered = {
      ...{ from: this.#from, to: this.#read, lines: this.#lines },
      ...{ changes: this.#changes, bytes: this.#bytes },
    };
    this.#from = this.#read + 1;
    this.#lines = [];
    this.#changes = 0;
    this.#bytes = 0;
    this.#noted = new Set();
    return gathered;
  }

  /** It was not written: it waits again, before what has come since. */
  giveBack(gathered: Gathered): void {
    assert(gathered.to + 1 === this.#from, 'what was taken last comes back');
    this.#from = gathered.from;
    this.#lines = [...gathered.lines, ...this.#lines];
    this.#changes += gathered.changes;
    this.#bytes += gathered.bytes;
  }

  #add(line: ChangeLine): void {
    this.#lines.push(line);
    this.#changes += 1;
    this.#bytes += line.keyValue.length + backupChangeOverheadBytes;
    if (line.isTombstone) return;
    const { lease } = decodeRecord(line.keyValue);
    if (lease === 0n || this.#noted.has(lease)) return;
    const name = leaseMetaName(lease);
    const record = this.#store.meta(name);
    if (record === undefined) return;
    this.#noted.add(lease);
    this.#lines.push({ kind: 'lease', ...decodeLeaseRecord(name, record) });
    this.#bytes += backupChangeOverheadBytes;
  }
}

/** The lines of a file: what was gathered, and all leases that there are when it ends. */
export async function* fileLines(
  { changes, from, lines, to }: Gathered,
  store: Pick<FollowedStore, 'metaEntries'>,
  clock: Clock,
): AsyncGenerator<Line> {
  yield* lines;
  const leases: Line[] = [];
  const slice = new Slice(clock);
  for (const [name, record] of store.metaEntries(leaseMetaPrefix)) {
    leases.push({ kind: 'lease', ...decodeLeaseRecord(name, record) });
    if (!slice.next()) await slice.rest();
  }
  yield { kind: 'leases', count: leases.length };
  yield* leases;
  yield { kind: 'end', from, to, changes };
}

/** Of the changes of `revision`, as they can be read now. Rejects with COMPACTED. */
export async function digestOf(
  store: Pick<FollowedStore, 'history'>,
  revision: Revision,
): Promise<string> {
  const digest = new RevisionDigest();
  const { events } = await store.history(revision, 1, backupPageBytes);
  for (const event of events) {
    if (event.modRevision === revision) digest.add(lineOf(event));
  }
  return digest.take();
}

/** As the record is stored, and a copy: an event holds on to more than its bytes. */
function lineOf({ key, kv, modRevision: main, sub, type }: MvccEvent): ChangeLine {
  const isTombstone = type === 'delete';
  const keyValue = isTombstone ? tombstoneOf(key) : Buffer.from(kv);
  return { kind: 'change', main, sub, isTombstone, keyValue };
}

function tombstoneOf(key: MvccEvent['key']): Buffer {
  const nothing = { createRevision: 0, modRevision: 0, version: 0 };
  return encodeRecord({ key, ...nothing, value: keyToBytes(''), lease: 0n });
}
