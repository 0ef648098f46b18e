/**
 * One Watch RPC: its watchers, and what its client asks for. Events do not pass here: the hub and
 * watch/catch-up.ts send them, as far as watch/backpressure.ts lets them.
 */

import {
  assert,
  type Clock,
  errorTable,
  inShares,
  type KeyString,
  type Random,
  type Revision,
  ShardedMap,
  type Timer,
} from '../../common/index.js';
import { type WatchCreateRequest, WatchFilter } from '../../proto/index.js';
import type { WatchSendLoop } from '../metrics/index.js';
import type { Backpressure, StreamFlow } from './backpressure.js';
import type { WatchLimits } from './limits.js';
import type { ResponseWriter } from './response-writer.js';
import { Watcher, type WatcherSpec } from './watcher.js';

/** The watch id of replies that concern no watcher: refusals and manual progress. */
export const noWatchId = -1;
const rangeEmptyText = 'mvcc: watcher range is empty';
/** Ids at the end of the saturated range may stand for others: refused, never answered rounded. */
const hugeIdText = 'kvorum: watch IDs must be smaller than 2^53 - 1';
const duplicateIdText = 'mvcc: duplicate watch ID provided on the WatchStream';
/** The interval of progress notifications is lengthened by up to this share, as in etcd. */
const progressJitter = 0.1;

/** What a stream needs of the hub. */
export interface StreamHub {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: WatchLimits;
  readonly sendLoop: WatchSendLoop;
  readonly store: { readonly revision: Revision };
  /** The last revision that was published. */
  readonly revision: Revision;
  /** Not all of what was published last has been offered to everybody. */
  readonly isPublishing: boolean;
  /** A new watcher, after its created reply. */
  admit(watcher: Watcher): void;
  /** Sends the pending events of a synced watcher, or makes it fall behind. */
  deliver(watcher: Watcher): void;
  /** A stream has closed, and all its watchers. */
  forgetStream(stream: WatchStream): void;
}

/** What a stream is given. */
export interface StreamOptions {
  readonly hub: StreamHub;
  readonly backpressure: Backpressure;
  readonly flow: StreamFlow;
  readonly writer: ResponseWriter;
}

/** The watchers of one RPC. Made by `WatchHub.open`; `close` ends it. */
export class WatchStream {
  readonly watchers = new ShardedMap<number, Watcher>();
  /** Watchers that were ahead of the store when it was last asked for progress. */
  readonly #ahead = new Set<Watcher>();
  readonly #hub: StreamHub;
  readonly #backpressure: Backpressure;
  readonly #flow: StreamFlow;
  readonly #writer: ResponseWriter;
  #nextAutoId = 0;
  #progressTimer: Timer | undefined;
  #progressWatchers = 0;

  constructor(options: StreamOptions) {
    this.#hub = options.hub;
    this.#backpressure = options.backpressure;
    this.#flow = options.flow;
    this.#writer = options.writer;
  }

  /** Watchers that wait for the stream to drain. */
  get parked(): ReadonlySet<Watcher> {
    return this.#flow.parked;
  }

  /** A create request; `refusal` is the reason why this caller may not (C-2.20). */
  create(request: WatchCreateRequest, refusal: string | undefined): void {
    if (this.#flow.isClosed) return;
    const key = request.key === '' ? '\0' : request.key;
    const end = watcherEnd(request.rangeEnd);
    const cancelReason = this.#reasonAgainst(request, key, end, refusal);
    const { revision } = this.#hub.store;
    if (cancelReason !== undefined) {
      const refused = { watchId: noWatchId, created: true, canceled: true, cancelReason };
      this.#writer.sendControl(this.#flow, revision, refused);
      return;
    }
    const id = request.watchId === 0 ? this.#autoId() : request.watchId;
    this.#writer.sendControl(this.#flow, revision, { watchId: id, created: true });
    // The sink may have found out that its client is gone.
    if (this.#flow.isClosed) return;
    const watcher = this.#newWatcher(id, key, end, request);
    this.watchers.set(id, watcher);
    if (watcher.startRevision > this.#hub.revision) this.#ahead.add(watcher);
    if (watcher.progressNotify) this.#countProgressWatcher(1);
    this.#hub.admit(watcher);
  }

  #reasonAgainst(
    request: WatchCreateRequest,
    key: KeyString,
    end: KeyString | undefined,
    refusal: string | undefined,
  ): string | undefined {
    if (request.startRevision < 0) return errorTable.COMPACTED[1];
    if (refusal !== undefined) return refusal;
    if (end !== undefined && end !== '' && end <= key) return rangeEmptyText;
    if (Math.abs(request.watchId) === Number.MAX_SAFE_INTEGER) return hugeIdText;
    if (request.watchId !== 0 && this.watchers.has(request.watchId)) return duplicateIdText;
    return undefined;
  }

  #newWatcher(
    id: number,
    key: KeyString,
    end: KeyString | undefined,
    request: WatchCreateRequest,
  ): Watcher {
    const spec: WatcherSpec = {
      id,
      key,
      end,
      startRevision: request.startRevision,
      wantsPuts: !request.filters.includes(WatchFilter.NOPUT),
      wantsDeletes: !request.filters.includes(WatchFilter.NODELETE),
      wantsPrev: request.prevKv,
      fragments: request.fragment,
      progressNotify: request.progressNotify,
    };
    const now = this.#hub.store.revision;
    const nextRevision = request.startRevision === 0 ? now + 1 : request.startRevision;
    return new Watcher(this.#flow, spec, nextRevision);
  }

  #autoId(): number {
    while (this.watchers.has(this.#nextAutoId)) this.#nextAutoId += 1;
    const id = this.#nextAutoId;
    this.#nextAutoId += 1;
    return id;
  }

  /** A cancel request; an unknown id gets no reply. */
  cancel(id: number): void {
    const watcher = this.watchers.get(id);
    if (watcher === undefined) return;
    this.#forget(watcher);
    const { revision } = this.#hub;
    this.#writer.sendControl(this.#flow, revision, { watchId: id, canceled: true });
  }

  #forget(watcher: Watcher): void {
    this.watchers.delete(watcher.id);
    this.#ahead.delete(watcher);
    if (watcher.progressNotify) this.#countProgressWatcher(-1);
    this.#backpressure.close(watcher);
  }

  /**
   * A progress request: answered only if no watcher of the stream has anything left to get, and
   * behind everything sent so far; else dropped, the client asks again. Does not look at each
   * watcher unless some have events pending, which is once for each batch of applies: requests are
   * ten bytes long.
   */
  requestProgress(): void {
    const flow = this.#flow;
    if (flow.isClosed || this.watchers.size === 0 || this.#hub.isPublishing) return;
    const { revision } = this.#hub;
    if (flow.unsyncedWatchers > 0 || this.#startsAfter(revision)) return;
    if (flow.pendingWatchers > 0) {
      for (const watcher of this.watchers.values()) {
        if (watcher.pending !== undefined) this.#hub.deliver(watcher);
      }
    }
    // Delivering to a full stream makes a watcher fall behind.
    if (flow.unsyncedWatchers > 0 || flow.isFull) return;
    this.#writer.sendControl(flow, revision, { watchId: noWatchId });
  }

  /** Whether a watcher's first revision is yet to come. */
  #startsAfter(revision: Revision): boolean {
    for (const watcher of this.#ahead) {
      if (watcher.startRevision > revision) return true;
      this.#ahead.delete(watcher);
    }
    return false;
  }

  #countProgressWatcher(change: 1 | -1): void {
    this.#progressWatchers += change;
    assert(this.#progressWatchers >= 0, 'each watcher that wants progress is counted once');
    if (this.#progressWatchers === 0) {
      this.#progressTimer?.cancel();
      this.#progressTimer = undefined;
    } else if (this.#progressTimer === undefined) {
      const interval = this.#hub.limits.progressIntervalMs;
      this.#armProgress(interval + interval * progressJitter * this.#hub.random.float());
    }
  }

  #armProgress(delayMs: number): void {
    this.#progressTimer = this.#hub.clock.after(delayMs, () => {
      this.#armProgress(delayMs);
      this.#tickProgress();
    });
  }

  /** What can't leave soon is not queued: a stuck reader must not collect notifications. */
  #tickProgress(): void {
    const { clock, isPublishing, sendLoop } = this.#hub;
    if (isPublishing) return;
    const startMs = clock.nowMs();
    const asking = [...this.watchers.values()].filter((watcher) => watcher.progressNotify);
    inShares(
      clock,
      asking,
      (watcher) => this.#tellProgress(watcher),
      () => sendLoop.progress.observe((clock.nowMs() - startMs) / 1000),
    );
  }

  #tellProgress(watcher: Watcher): void {
    if (this.#hub.isPublishing) return;
    const { revision } = this.#hub;
    const due = watcher.quiet && watcher.state === 'synced' && watcher.pending === undefined;
    watcher.quiet = true;
    if (!due || revision < watcher.startRevision || !this.#flow.isFlowing) return;
    this.#writer.sendControl(this.#flow, revision, { watchId: watcher.id });
  }

  /** True if requests are not to be read from now on, until `drained` returns true. */
  stop(): boolean {
    return this.#flow.stop();
  }

  /** The sink is below its high-water mark again. True if requests are to be read again. */
  drained(): boolean {
    return this.#flow.drained();
  }

  /** Forgets everything, very many watchers a share at a time; nothing is sent any more. */
  close(): void {
    const flow = this.#flow;
    if (flow.isClosed) return;
    flow.close();
    this.#progressTimer?.cancel();
    this.#progressTimer = undefined;
    this.#ahead.clear();
    const release = (watcher: Watcher): void => {
      this.watchers.delete(watcher.id);
      this.#backpressure.close(watcher);
    };
    inShares(this.#hub.clock, [...this.watchers.values()], release, () => {
      flow.ended();
      this.#hub.forgetStream(this);
    });
  }
}

/** undefined: one key; '': everything from the key on. */
function watcherEnd(rangeEnd: KeyString): KeyString | undefined {
  if (rangeEnd === '') return undefined;
  return rangeEnd === '\0' ? '' : rangeEnd;
}
