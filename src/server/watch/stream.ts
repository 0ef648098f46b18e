/**
 * One Watch RPC: its watchers, and the only place that writes to it, so that created replies,
 * events, progress and cancels leave in the order in which they were decided (C-2).
 *
 * Bounded memory: events go out only while `blocked` is false; a watcher that meets a blocked
 * stream falls behind and is served from history after the stream has drained.
 */

import {
  assert,
  errorTable,
  inShares,
  type KeyString,
  type Revision,
  type Timer,
} from '../../common/index.js';
import {
  encodeWatchResponse,
  type WatchCreateRequest,
  WatchFilter,
  type WatchResponseFields,
} from '../../proto/index.js';
import type { WatchHub } from './hub.js';
import { type SendableEvents, Watcher, type WatcherSpec, type WatchSink } from './types.js';

/** The watch id of replies that concern no watcher: refusals and manual progress. */
export const noWatchId = -1;
const rangeEmptyText = 'mvcc: watcher range is empty';
/** Ids at the end of the saturated range may stand for others: refused, never answered rounded. */
const hugeIdText = 'kvorum: watch IDs must be smaller than 2^53 - 1';
const duplicateIdText = 'mvcc: duplicate watch ID provided on the WatchStream';
/** The interval of progress notifications is lengthened by up to this share, as in etcd. */
const progressJitter = 0.1;
/** Bytes of an event message beside its events, at the most: header, watch_id and fragment. */
const headBytesMax = 64;

/** The watchers of one RPC. Made by `WatchHub.open`; `close` ends it. */
export class WatchStream {
  readonly watchers = new Map<number, Watcher>();
  /** Watchers that wait for the stream to drain. */
  readonly parked = new Set<Watcher>();
  /** Watchers with events pending, and those that are not synced. The hub counts. */
  pendingWatchers = 0;
  unsyncedWatchers = 0;
  /** Watchers that were ahead of the store when it was last asked for progress. */
  readonly #ahead = new Set<Watcher>();
  readonly #hub: WatchHub;
  readonly #sink: WatchSink;
  readonly #takesAnySize: boolean;
  /** False from a `sendParts` that said so until `drained`. */
  #writable = true;
  /** What this stream adds to the hub's sum of backlogs. */
  #countedBacklogBytes = 0;
  #nextAutoId = 0;
  #closed = false;
  #progressTimer: Timer | undefined;
  #progressWatchers = 0;

  constructor(hub: WatchHub, sink: WatchSink, takesAnySize: boolean) {
    this.#hub = hub;
    this.#sink = sink;
    this.#takesAnySize = takesAnySize;
  }

  /** Nothing is sent any more; watchers may still be going. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Too much is unsent: no more events, and better no more requests either. */
  get blocked(): boolean {
    if (this.#writable) return false;
    const { limits } = this.#hub;
    return this.#sink.backlogBytes > limits.backlogBytesMax || this.#hub.overBudget;
  }

  /** A create request; `refusal` is the reason why this caller may not (C-2.20). */
  create(request: WatchCreateRequest, refusal: string | undefined): void {
    if (this.#closed) return;
    const key = request.key === '' ? '\0' : request.key;
    const end = watcherEnd(request.rangeEnd);
    const cancelReason = this.#reasonAgainst(request, key, end, refusal);
    const header = this.#hub.header(this.#hub.store.revision);
    if (cancelReason !== undefined) {
      this.#send({ header, watchId: noWatchId, created: true, canceled: true, cancelReason });
      return;
    }
    const id = request.watchId === 0 ? this.#autoId() : request.watchId;
    this.#send({ header, watchId: id, created: true });
    // The sink may have found out that its client is gone.
    if (this.#closed) return;
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
    return new Watcher(this, spec, request.startRevision === 0 ? now + 1 : request.startRevision);
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
    this.#send({ header: this.#hub.header(this.#hub.revision), watchId: id, canceled: true });
  }

  #forget(watcher: Watcher): void {
    this.watchers.delete(watcher.id);
    this.#ahead.delete(watcher);
    if (watcher.progressNotify) this.#countProgressWatcher(-1);
    this.#hub.release(watcher);
  }

  /** The history that the watcher still needs is gone; it stays known until the client cancels. */
  sendCompacted(watcher: Watcher, compactRevision: Revision): void {
    this.#send({
      header: this.#hub.header(0),
      watchId: watcher.id,
      canceled: true,
      compactRevision,
    });
  }

  /**
   * A progress request: answered only if no watcher of the stream has anything left to get, and
   * behind everything sent so far; else dropped, the client asks again. Does not look at each
   * watcher unless some have events pending, which is once for each batch of applies: requests are
   * ten bytes long.
   */
  requestProgress(): void {
    if (this.#closed || this.watchers.size === 0 || this.#hub.isPublishing) return;
    const { revision } = this.#hub;
    if (this.unsyncedWatchers > 0 || this.#startsAfter(revision)) return;
    if (this.pendingWatchers > 0) {
      for (const watcher of this.watchers.values()) {
        if (watcher.pending !== undefined) this.#hub.deliver(watcher);
      }
    }
    // Delivering to a blocked stream makes a watcher fall behind.
    if (this.unsyncedWatchers > 0 || this.blocked) return;
    this.#send({ header: this.#hub.header(revision), watchId: noWatchId });
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
    if (!due || revision < watcher.startRevision || !this.#writable) return;
    this.#send({ header: this.#hub.header(revision), watchId: watcher.id });
  }

  /**
   * How large a response of `bytes` of events may be. A set of events goes out as one response, as
   * etcd sends it, if its client takes that and there is room for it.
   */
  responseBytesMax(watcher: Watcher, bytes: number): number {
    const { limits } = this.#hub;
    if (!this.#hub.hasRoom(bytes)) return limits.messageBytesTarget;
    const takesMore = watcher.fragments || this.#takesAnySize;
    return takesMore ? limits.responseBytesMax : limits.messageBytesMax - headBytesMax;
  }

  /**
   * Sends events that the watcher accepts, whole revisions, in order, in responses of at most
   * `bytesMax` (a revision is not cut, though). `through` is the last revision that the watcher is
   * up to date with afterwards, `headerRevision` what the header says if one response is enough; of
   * several, each says how far it goes. Returns false if the stream got blocked on the way: then
   * `watcher.nextRevision` is the first revision not sent.
   */
  sendEvents(
    watcher: Watcher,
    slots: readonly SendableEvents[],
    through: Revision,
    headerRevision: Revision,
    bytesMax: number,
  ): boolean {
    if (this.#closed) return true;
    let start = 0;
    let bytes = 0;
    /** Where the last revision so far begins, and the bytes from there on. */
    let whole = 0;
    let tailBytes = 0;
    let revision: Revision = watcher.nextRevision - 1;
    let sub = Number.POSITIVE_INFINITY;
    for (let i = 0; i < slots.length; i += 1) {
      const slot = slots[i] as SendableEvents;
      // Unique and in order, whatever the way the events came (L-8, L-11).
      assert(
        slot.revision > revision || (slot.revision === revision && slot.sub > sub),
        'the events of a watcher are in order',
      );
      if (slot.revision > revision) {
        whole = i;
        tailBytes = 0;
      }
      revision = slot.revision;
      sub = slot.sub;
      const eventBytes = slot.encoded(watcher.wantsPrev).length;
      bytes += eventBytes;
      tailBytes += eventBytes;
      if (bytes <= bytesMax || whole === start) continue;
      const last = (slots[whole - 1] as SendableEvents).revision;
      this.#sendEventMessage(watcher, slots.slice(start, whole), last);
      start = whole;
      bytes = tailBytes;
      watcher.nextRevision = revision;
      if (this.blocked) return false;
    }
    assert(through >= revision, 'a watcher is not behind its events');
    if (start === 0) this.#sendEventMessage(watcher, slots, headerRevision);
    else this.#sendEventMessage(watcher, slots.slice(start), through);
    watcher.nextRevision = through + 1;
    return true;
  }

  #sendEventMessage(watcher: Watcher, slots: readonly SendableEvents[], revision: Revision): void {
    const { wantsPrev } = watcher;
    const header = this.#hub.header(revision);
    const events: Uint8Array[] = [];
    let bytes = 0;
    for (const slot of slots) {
      const event = slot.encoded(wantsPrev);
      events.push(event);
      bytes += event.length;
      this.#hub.counters.eventsTotal += slot.count;
    }
    watcher.quiet = false;
    const fields: WatchResponseFields = { header, watchId: watcher.id };
    if (!watcher.fragments || !this.#sendFragments(fields, events, bytes)) {
      this.#put(encodeWatchResponse(fields, events));
    }
  }

  /**
   * Cuts where etcd does (but for events that were joined); false if it would not. The pieces go
   * out back to back: clients put together what follows each other.
   */
  #sendFragments(
    fields: WatchResponseFields,
    events: readonly Uint8Array[],
    eventsBytes: number,
  ): boolean {
    const { fragmentBytes } = this.#hub.limits;
    if (events.length < 2 || eventsBytes + headBytesMax < fragmentBytes) return false;
    const wholeBytes = byteLength(encodeWatchResponse(fields, [])) + eventsBytes;
    if (wholeBytes < fragmentBytes) return false;
    const piece: WatchResponseFields = { ...fields, fragment: true };
    const emptyBytes = byteLength(encodeWatchResponse(piece, []));
    let start = 0;
    let bytes = emptyBytes;
    for (let i = 0; i < events.length; i += 1) {
      const eventBytes = (events[i] as Uint8Array).length;
      if (i > start && bytes + eventBytes >= fragmentBytes) {
        this.#put(encodeWatchResponse(piece, events.slice(start, i)));
        start = i;
        bytes = emptyBytes;
      }
      bytes += eventBytes;
    }
    this.#put(encodeWatchResponse(fields, events.slice(start)));
    return true;
  }

  #send(fields: WatchResponseFields): void {
    if (this.#closed) return;
    const { clock, sendLoop } = this.#hub;
    const startMs = clock.nowMs();
    this.#put(encodeWatchResponse(fields, []));
    sendLoop.controlStream.observe((clock.nowMs() - startMs) / 1000);
  }

  #put(parts: readonly Uint8Array[]): void {
    if (this.#sink.sendParts(parts)) return;
    this.#writable = false;
    this.#countBacklog(this.#sink.backlogBytes);
  }

  #countBacklog(bytes: number): void {
    this.#hub.addBacklog(bytes - this.#countedBacklogBytes);
    this.#countedBacklogBytes = bytes;
  }

  /** The sink is below its high-water mark again: watchers that fell behind go on. */
  drained(): void {
    if (this.#closed) return;
    this.#writable = true;
    this.#countBacklog(0);
    const hub = this.#hub;
    const resume = (watcher: Watcher): void => {
      // Not if it was cancelled in between.
      if (this.parked.delete(watcher)) hub.resume(watcher);
    };
    inShares(hub.clock, [...this.parked], resume, () => {});
  }

  /** Forgets everything, very many watchers a share at a time; nothing is sent any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#progressTimer?.cancel();
    this.#progressTimer = undefined;
    this.#countBacklog(0);
    this.#ahead.clear();
    const hub = this.#hub;
    const release = (watcher: Watcher) => {
      this.watchers.delete(watcher.id);
      hub.release(watcher);
    };
    inShares(hub.clock, [...this.watchers.values()], release, () => hub.forgetStream(this));
  }
}

function byteLength(parts: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  return bytes;
}

/** undefined: one key; '': everything from the key on. */
function watcherEnd(rangeEnd: KeyString): KeyString | undefined {
  if (rangeEnd === '') return undefined;
  return rangeEnd === '\0' ? '' : rangeEnd;
}
