/**
 * What watchers and their clients are told, as messages. All of them pass here, so that created
 * replies, events, progress and cancels leave in the order in which they were decided (C-2).
 */

import { assert, type Clock, type Revision } from '../../common/index.js';
import {
  type EncodedHeader,
  encodeWatchResponse,
  type WatchResponseFields,
} from '../../proto/index.js';
import type { WatchSendLoop } from '../metrics/index.js';
import type { Backpressure } from './backpressure.js';
import type { SendableEvents } from './event-slot.js';
import type { WatchLimits } from './limits.js';
import type { Watcher, WatcherStream } from './watcher.js';

/** Bytes of an event message beside its events, at the most: header, watch_id and fragment. */
const headBytesMax = 64;

/** What a writer needs. */
export interface ResponseWriterOptions {
  readonly clock: Clock;
  readonly limits: WatchLimits;
  readonly backpressure: Backpressure;
  /** The encoded response header for a store revision. */
  readonly header: (revision: Revision) => EncodedHeader;
  readonly sendLoop: WatchSendLoop;
}

/** One for all streams of a member. */
export class ResponseWriter {
  readonly #clock: Clock;
  readonly #limits: WatchLimits;
  readonly #backpressure: Backpressure;
  readonly #header: (revision: Revision) => EncodedHeader;
  readonly #sendLoop: WatchSendLoop;

  constructor(options: ResponseWriterOptions) {
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#backpressure = options.backpressure;
    this.#header = options.header;
    this.#sendLoop = options.sendLoop;
  }

  /** A message without events, with a header of `revision`. */
  sendControl(
    stream: WatcherStream,
    revision: Revision,
    fields: Omit<WatchResponseFields, 'header'>,
  ): void {
    if (stream.isClosed) return;
    const startMs = this.#clock.nowMs();
    stream.put(encodeWatchResponse({ header: this.#header(revision), ...fields }, []));
    this.#sendLoop.controlStream.observe((this.#clock.nowMs() - startMs) / 1000);
  }

  /**
   * How large a response of `bytes` of events may be. A set of events goes out as one response, as
   * etcd sends it, if its client takes that and there is room for it.
   */
  responseBytesMax(watcher: Watcher, bytes: number): number {
    const limits = this.#limits;
    if (!this.#backpressure.hasRoom(bytes)) return limits.messageBytesTarget;
    const takesMore = watcher.fragments || watcher.stream.takesAnySize;
    return takesMore ? limits.responseBytesMax : limits.messageBytesMax - headBytesMax;
  }

  /**
   * Sends events that the watcher accepts, whole revisions, in order, in responses of at most
   * `bytesMax` (a revision is not cut, though). `through` is the last revision that the watcher is
   * up to date with afterwards, `headerRevision` what the header says if one response is enough; of
   * several, each says how far it goes. The stream must not be full; returns false if it got full
   * on the way: then `watcher.nextRevision` is the first revision not sent.
   */
  sendEvents(
    watcher: Watcher,
    slots: readonly SendableEvents[],
    through: Revision,
    headerRevision: Revision,
    bytesMax: number,
  ): boolean {
    const { stream, wantsPrev } = watcher;
    const events: Uint8Array[] = [];
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
      const event = slot.encoded(wantsPrev);
      events.push(event);
      bytes += event.length;
      tailBytes += event.length;
      if (bytes <= bytesMax || whole === start) continue;
      const last = (slots[whole - 1] as SendableEvents).revision;
      this.#sendMessage(watcher, events.slice(start, whole), last);
      this.#count(slots, start, whole);
      start = whole;
      bytes = tailBytes;
      watcher.nextRevision = revision;
      if (stream.isFull) return false;
    }
    assert(through >= revision, 'a watcher is not behind its events');
    if (start === 0) this.#sendMessage(watcher, events, headerRevision);
    else this.#sendMessage(watcher, events.slice(start), through);
    this.#count(slots, start, slots.length);
    watcher.nextRevision = through + 1;
    return true;
  }

  #count(slots: readonly SendableEvents[], start: number, end: number): void {
    const { counters } = this.#backpressure;
    for (let i = start; i < end; i += 1) counters.eventsTotal += (slots[i] as SendableEvents).count;
  }

  #sendMessage(watcher: Watcher, events: readonly Uint8Array[], revision: Revision): void {
    watcher.quiet = false;
    const fields: WatchResponseFields = { header: this.#header(revision), watchId: watcher.id };
    if (watcher.fragments && this.#sendFragments(watcher.stream, fields, events)) return;
    watcher.stream.put(encodeWatchResponse(fields, events));
  }

  /**
   * Cuts where etcd does (but for events that were joined); false if it would not. The pieces go
   * out back to back: clients put together what follows each other.
   */
  #sendFragments(
    stream: WatcherStream,
    fields: WatchResponseFields,
    events: readonly Uint8Array[],
  ): boolean {
    const { fragmentBytes } = this.#limits;
    const eventsBytes = byteLength(events);
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
        stream.put(encodeWatchResponse(piece, events.slice(start, i)));
        start = i;
        bytes = emptyBytes;
      }
      bytes += eventBytes;
    }
    stream.put(encodeWatchResponse(fields, events.slice(start)));
    return true;
  }
}

function byteLength(parts: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  return bytes;
}
