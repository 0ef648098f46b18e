/** A small store with history, a client that reads or does not, and a hub between them. */

import { EtcdError, type KeyString, type Random, type Revision } from '../../src/common/index.js';
import {
  decodeWatchResponse,
  type Event,
  encodeKeyValue,
  HeaderEncoder,
  type KeyValue,
  type WatchCreateRequest,
  type WatchResponse,
} from '../../src/proto/index.js';
import type { WatchSink } from '../../src/server/watch/backpressure.js';
import type { WatchStore } from '../../src/server/watch/catch-up.js';
import { WatchHub } from '../../src/server/watch/hub.js';
import type { WatchLimits } from '../../src/server/watch/limits.js';
import { defaultWatchLimits } from '../../src/server/watch/limits.js';
import type { WatchStream } from '../../src/server/watch/stream.js';
import { SimClock, SimRandom } from '../../src/sim/index.js';
import type {
  EventPage,
  MvccCommit,
  MvccEvent,
  RangeQuery,
  RangeResult,
  ReadPoint,
} from '../../src/storage/index.js';

/** One change of a transaction; without `value` a delete. */
export interface Change {
  readonly key: KeyString;
  readonly value?: string;
}

/** A change as a test sees it: what a watcher must be told. */
export interface Told {
  readonly type: 'put' | 'delete';
  readonly key: KeyString;
  readonly modRevision: Revision;
  readonly createRevision: Revision;
  readonly version: number;
  readonly value: string;
  /** Value before; undefined: there was none. */
  readonly previous: string | undefined;
}

function keyValue(key: KeyString, told: Told): KeyValue {
  return {
    key,
    createRevision: told.createRevision,
    modRevision: told.modRevision,
    version: told.version,
    value: Buffer.from(told.value, 'latin1'),
    lease: 0n,
  };
}

/** All history in memory, with an index by key; compaction only forbids. */
export class HistoryStore implements WatchStore {
  revision: Revision = 1;
  compactRevision: Revision = -1;
  readonly told: Told[] = [];
  /** Whether an event of a commit has its previous value at hand. */
  prevInMemory: () => boolean = () => true;
  /** How long a page takes. */
  historyMs = 1;
  historyCalls = 0;
  readonly #clock: SimClock;
  readonly #byKey = new Map<KeyString, Told[]>();

  constructor(clock: SimClock) {
    this.#clock = clock;
  }

  apply(changes: readonly Change[]): MvccCommit {
    const revision = this.revision + 1;
    const events: MvccEvent[] = [];
    for (const { key, value } of changes) {
      const versions = this.#byKey.get(key) ?? [];
      const last = versions.at(-1);
      const live = last !== undefined && last.type === 'put' ? last : undefined;
      if (value === undefined && live === undefined) continue;
      const told: Told = {
        type: value === undefined ? 'delete' : 'put',
        key,
        modRevision: revision,
        createRevision: value === undefined ? 0 : (live?.createRevision ?? revision),
        version: value === undefined ? 0 : (live?.version ?? 0) + 1,
        value: value ?? '',
        previous: live?.value,
      };
      versions.push(told);
      this.#byKey.set(key, versions);
      this.told.push(told);
      const prevKv = live === undefined ? null : encodeKeyValue(keyValue(key, live));
      const known = prevKv === null || this.prevInMemory();
      events.push(toEvent(told, events.length, known ? prevKv : undefined));
    }
    if (events.length > 0) this.revision = revision;
    const event = (sub: number): MvccEvent => events[sub] as MvccEvent;
    return {
      revision: this.revision,
      events,
      changes: events.length,
      keyAt: (sub) => event(sub).key,
      isDeleteAt: (sub) => event(sub).type === 'delete',
    };
  }

  compact(revision: Revision): void {
    this.compactRevision = revision;
  }

  async history(from: Revision, revisionsMax: number, bytesMax: number): Promise<EventPage> {
    this.historyCalls += 1;
    if (from < this.compactRevision) throw new EtcdError('COMPACTED');
    const through = this.revision;
    await new Promise<void>((resolve) => this.#clock.after(this.historyMs, resolve));
    const events: MvccEvent[] = [];
    let bytes = 0;
    let revisions = 0;
    let current = 0;
    let sub = 0;
    for (let i = this.#firstAt(from); i < this.told.length; i += 1) {
      const told = this.told[i] as Told;
      if (told.modRevision > through) break;
      if (told.modRevision !== current) {
        if (revisions >= revisionsMax || (revisions > 0 && bytes >= bytesMax)) {
          return { events, throughRevision: told.modRevision - 1 };
        }
        revisions += 1;
        current = told.modRevision;
        sub = 0;
      }
      const event = toEvent(told, sub, told.version === 1 ? null : undefined);
      sub += 1;
      bytes += event.kv.length;
      events.push(event);
    }
    return { events, throughRevision: through };
  }

  /** Everything told of revisions from `from` to `through`. */
  between(from: Revision, through: Revision): Told[] {
    return this.told.slice(this.#firstAt(from), this.#firstAt(through + 1));
  }

  #firstAt(from: Revision): number {
    let low = 0;
    let high = this.told.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.told[middle] as Told).modRevision < from) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  async range(query: RangeQuery, at: ReadPoint | undefined): Promise<RangeResult> {
    const main = at?.main ?? this.revision;
    if (main < this.compactRevision) throw new EtcdError('COMPACTED');
    await new Promise<void>((resolve) => this.#clock.afterTurn(resolve));
    const told = this.#byKey.get(query.key)?.findLast((t) => t.modRevision <= main);
    const kvs =
      told === undefined || told.type === 'delete'
        ? []
        : [encodeKeyValue(keyValue(query.key, told))];
    return { kvs, more: false, count: kvs.length };
  }
}

function toEvent(told: Told, sub: number, prevKv: Uint8Array | null | undefined): MvccEvent {
  return {
    type: told.type,
    key: told.key,
    modRevision: told.modRevision,
    sub,
    isCreate: told.type === 'put' && told.version === 1,
    kv: encodeKeyValue(keyValue(told.key, told)),
    prevKv,
  };
}

/** A client at the end of a stream: reads everything at once, or nothing while `stuck`. */
export class TestClient implements WatchSink {
  readonly responses: WatchResponse[] = [];
  backlogBytes = 0;
  backlogBytesPeak = 0;
  highWaterBytes = 64 * 1024;
  stuck = false;
  stream: WatchStream | undefined;
  onResponse: ((response: WatchResponse) => void) | undefined;
  #mustTell = false;
  #next = 0;

  sendParts(parts: readonly Uint8Array[]): boolean {
    const bytes = Buffer.concat(parts);
    const response = decodeWatchResponse(bytes);
    this.responses.push(response);
    this.onResponse?.(response);
    if (!this.stuck) return true;
    this.backlogBytes += bytes.length;
    this.backlogBytesPeak = Math.max(this.backlogBytesPeak, this.backlogBytes);
    this.#mustTell = this.backlogBytes > this.highWaterBytes;
    return !this.#mustTell;
  }

  /** Reads what is there, and from now on. */
  unstick(): void {
    this.stuck = false;
    this.catchUp();
  }

  /** Reads what is there; goes on being stuck if it was. */
  catchUp(): void {
    this.backlogBytes = 0;
    if (!this.#mustTell) return;
    this.#mustTell = false;
    this.stream?.drained();
  }

  /** The responses since the last call. */
  take(): WatchResponse[] {
    const taken = this.responses.slice(this.#next);
    this.#next = this.responses.length;
    return taken;
  }
}

/** A create request for one key. */
export function createRequest(fields: Partial<WatchCreateRequest> = {}): WatchCreateRequest {
  return {
    key: 'a',
    rangeEnd: '',
    startRevision: 0,
    progressNotify: false,
    filters: [],
    prevKv: false,
    watchId: 0,
    fragment: false,
    ...fields,
  };
}

export const testHeaders = new HeaderEncoder(7n, 9n);

/** A hub over a HistoryStore, in simulated time. */
export class WatchBench {
  readonly clock = new SimClock();
  readonly random: Random;
  readonly store: HistoryStore;
  readonly hub: WatchHub;

  constructor(limits: Partial<WatchLimits> = {}, seed = 1) {
    this.random = new SimRandom(seed);
    this.store = new HistoryStore(this.clock);
    this.hub = this.newHub(this.store, limits);
  }

  newHub(store: WatchStore, limits: Partial<WatchLimits> = {}): WatchHub {
    return new WatchHub({
      store,
      clock: this.clock,
      random: this.random,
      header: (revision) => testHeaders.header(revision, 3),
      fatal: (error) => {
        throw error;
      },
      limits: { ...defaultWatchLimits, ...limits },
    });
  }

  /** A stream with a client. */
  open(): { client: TestClient; stream: WatchStream } {
    const client = new TestClient();
    const stream = this.hub.open(client);
    client.stream = stream;
    return { client, stream };
  }

  /** Applies and publishes one transaction, and flushes. */
  apply(...changes: readonly Change[]): MvccCommit {
    const commit = this.store.apply(changes);
    this.hub.publish(commit);
    this.hub.flush();
    return commit;
  }

  put(key: KeyString, value = 'v'): MvccCommit {
    return this.apply({ key, value });
  }

  delete(key: KeyString): MvccCommit {
    return this.apply({ key });
  }

  /** Lets everything happen that happens within so much time. */
  run(ms = 1000): Promise<void> {
    return this.clock.run(this.clock.nowMs() + ms);
  }
}

/** `put key=value @rev` or `delete key @rev`, `<- value` for prev_kv. */
export function tell(event: Event): string {
  const { kv, prevKv } = event;
  if (kv === undefined) return 'event without kv';
  const previous = prevKv === undefined ? '' : ` <- ${prevKv.value.toString('latin1')}`;
  const what =
    event.type === 1 ? `delete ${kv.key}` : `put ${kv.key}=${kv.value.toString('latin1')}`;
  return `${what} @${kv.modRevision}${previous}`;
}

/** A response in a line: the fields that are set, then its events. */
export function line(response: WatchResponse): string {
  const words = [`id=${response.watchId}`, `rev=${response.header?.revision}`];
  if (response.created) words.push('created');
  if (response.canceled) words.push('canceled');
  if (response.compactRevision !== 0) words.push(`compacted=${response.compactRevision}`);
  if (response.cancelReason !== '') words.push(`reason=${response.cancelReason}`);
  if (response.fragment) words.push('fragment');
  if (response.events.length > 0) words.push(`[${response.events.map(tell).join(', ')}]`);
  return words.join(' ');
}
