/**
 * One watch: takes what the mux gets from the server, keeps it for its reader, and knows the
 * revision at which it must go on.
 *
 * Invariants: `next` is the first revision of which not all events are in the buffer or handed
 * over, so a create from `next` misses nothing, and what comes below it is a repeat and dropped. A
 * revision is handed over whole or not at all, also when the server sends it in fragments. The
 * buffer is bounded: above the limit the watch is cancelled at the server ("parked"), and created
 * again from `next` when the reader has caught up. Other watches of the stream are not held up.
 */

import { assert, GrpcCode, onAbort } from '../../common/index.js';
import { type Event, WatchFilter, type WatchResponse } from '../../proto/index.js';
import { type Header, headerOf, method } from '../call/index.js';
import {
  aboutKey,
  atCaller,
  EtcdClientError,
  invalidOption,
  reasonOf,
  type StatusName,
  statusName,
} from '../errors.js';
import {
  type KeyRange,
  keyText,
  revisionOption,
  type Span,
  spanOf,
  type View,
} from '../keyspace/index.js';
import { watchBufferEventsDefault } from '../limits.js';
import { refusalCode, refusalText } from './refusal.js';
import type { WatchBatch, WatchEvent, Watcher, WatchOptions } from './types.js';
import type { WatchMux, WatchTarget } from './watch-mux.js';
import { type AnyEvent, eventOf, revisionOf } from './wire-event.js';

/** Starts watching at once, whether somebody reads or not. */
export function startWatch<V, In, const O extends WatchOptions>(
  mux: WatchMux,
  view: View<V, In>,
  range: KeyRange,
  options: O | undefined,
): Watcher<V, O> {
  return new WatchRun<V, In, O>(mux, view, spanOf(view.prefix, range), options ?? {});
}

/** All events of one revision; no events: a progress mark. */
interface RawBatch {
  readonly revision: number;
  readonly events: readonly Event[];
}

/** Cancels by the server without a reason, one after the other, before it is taken as final. */
const causelessCancelsMax = 3;

class WatchRun<V, In, O> implements Watcher<V, O>, WatchTarget {
  readonly ready: Promise<Header>;
  revision: number;
  readonly #mux: WatchMux;
  readonly #view: View<V, In>;
  readonly #span: Span;
  readonly #options: WatchOptions;
  readonly #bufferEventsMax: number;
  /** See the head of the file; 0: whatever is next when it is created. */
  #next: number;
  #buffer: RawBatch[] = [];
  #bufferedEvents = 0;
  /** Events of the revision that the last fragment may have cut. */
  #partial: Event[] = [];
  #parked = false;
  #wasCreated = false;
  #ended = false;
  #error: Error | undefined;
  #closing: Promise<void> = Promise.resolve();
  /** Events of the batch that is being handed over one by one. */
  #current: Array<WatchEvent<V, O>> = [];
  #at = 0;
  #currentRevision = 0;
  #wake: Array<() => void> = [];
  #causelessCancels = 0;
  #takeBack: (() => void) | undefined;
  #resolveReady: (header: Header) => void = () => undefined;
  #rejectReady: (error: Error) => void = () => undefined;

  constructor(mux: WatchMux, view: View<V, In>, span: Span, options: WatchOptions) {
    this.#mux = mux;
    this.#view = view;
    this.#span = span;
    this.#options = options;
    this.#next = revisionOption(options.fromRevision);
    this.revision = Math.max(0, this.#next - 1);
    this.#bufferEventsMax = options.bufferEventsMax ?? watchBufferEventsDefault;
    if (!(this.#bufferEventsMax >= 1)) throw invalidOption('bufferEventsMax must be >= 1');
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    this.ready.catch(() => undefined); // nobody has to ask
    this.#takeBack = onAbort(options.signal, () => this.#end(undefined));
    if (!this.#ended) mux.add(this);
  }

  // -------------------------------------------------------------------------- for the reader

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<WatchEvent<V, O>, undefined>> {
    for (;;) {
      if (this.#at < this.#current.length) {
        const value = this.#current[this.#at] as WatchEvent<V, O>;
        this.#at += 1;
        if (this.#at === this.#current.length) this.revision = this.#currentRevision;
        return { done: false, value };
      }
      const batch = await this.#nextBatch();
      if (batch === undefined) return { done: true, value: undefined };
      this.#current = await this.#decoded(batch);
      this.#at = 0;
      this.#currentRevision = batch.revision;
    }
  }

  async return(): Promise<IteratorResult<WatchEvent<V, O>, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  async *batches(): AsyncGenerator<WatchBatch<V, O>, undefined, void> {
    try {
      for (;;) {
        const batch = await this.#nextBatch();
        if (batch === undefined) return;
        const events = await this.#decoded(batch);
        this.revision = batch.revision;
        yield { revision: batch.revision, events };
      }
    } finally {
      await this.close();
    }
  }

  requestProgress(): void {
    this.#mux.requestProgress();
  }

  close(): Promise<void> {
    this.#end(undefined);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ------------------------------------------------------------------------------ for the mux

  /** Where its range begins. */
  get key(): string {
    return keyText(this.#span.key);
  }

  createRequest() {
    const { only, prev } = this.#options;
    this.#partial = [];
    return {
      key: this.#span.key,
      rangeEnd: this.#span.rangeEnd,
      startRevision: this.#next,
      // Marks move `next` on, so that a quiet watch survives compactions while it is cut off.
      progressNotify: true,
      filters:
        only === undefined ? [] : [only === 'put' ? WatchFilter.NODELETE : WatchFilter.NOPUT],
      prevKv: prev ?? false,
      fragment: true,
    };
  }

  onCreated(response: WatchResponse): void {
    const header = headerOf(response.header);
    if (this.#next === 0) {
      this.#next = header.revision + 1;
      this.revision = header.revision;
    }
    this.#resolveReady(header);
    const { key } = this;
    this.#mux.tell({
      ...{ type: 'watchCreated', key, fromRevision: this.#next, resumed: this.#wasCreated },
    });
    this.#wasCreated = true;
  }

  onResponse(response: WatchResponse): void {
    assert(!this.#ended && !this.#parked, 'nothing comes for a watch that has left');
    if (response.events.length === 0) {
      if (this.#partial.length === 0) this.#onProgress(headerOf(response.header).revision);
      return;
    }
    this.#causelessCancels = 0;
    const events = this.#partial.concat(response.events);
    let complete = events.length;
    if (response.fragment) {
      const cut = revisionOf(events[events.length - 1] as Event);
      while (complete > 0 && revisionOf(events[complete - 1] as Event) === cut) complete -= 1;
    }
    this.#partial = events.slice(complete);
    for (let i = 0; i < complete; ) i = this.#takeRevision(events, i, complete);
    this.#wakeAll();
    if (this.#bufferedEvents > this.#bufferEventsMax) this.#park();
  }

  onStreamProgress(revision: number): void {
    if (this.#partial.length === 0) this.#onProgress(revision);
  }

  onCanceled(response: WatchResponse): void {
    if (response.compactRevision > 0) {
      this.#endAs(compactedError(this.#next, response.compactRevision));
      return;
    }
    this.#causelessCancels += 1;
    const again = !response.created && response.cancelReason === '';
    if (again && this.#causelessCancels <= causelessCancelsMax) this.#mux.add(this);
    else this.#endAs(refusedError(response));
  }

  onError(error: Error): void {
    this.#end(aboutKey(error, this.key));
  }

  onClosed(): void {
    this.#end(undefined);
  }

  #endAs(error: EtcdClientError): void {
    this.#end(aboutKey(error, this.key));
  }

  /** All events of the revision at `start`; returns where the next revision begins. */
  #takeRevision(events: readonly Event[], start: number, end: number): number {
    assert(start < end, 'a revision has events');
    const revision = revisionOf(events[start] as Event);
    let after = start + 1;
    while (after < end && revisionOf(events[after] as Event) === revision) after += 1;
    if (revision < this.#next) return after;
    this.#next = revision + 1;
    this.#buffer.push({ revision, events: events.slice(start, after) });
    this.#bufferedEvents += after - start;
    return after;
  }

  #onProgress(revision: number): void {
    this.#causelessCancels = 0;
    if (revision < this.#next - 1) return;
    this.#next = revision + 1;
    if (this.#options.progress !== true) {
      // Nothing to hand over: the reader is there as soon as the buffer is empty.
      if (this.#buffer.length === 0 && this.#at === this.#current.length) this.revision = revision;
      return;
    }
    const last = this.#buffer.at(-1);
    // Marks of a reader that is behind replace each other.
    if (last?.events.length === 0) this.#buffer.pop();
    this.#buffer.push({ revision, events: [] });
    this.#wakeAll();
  }

  #park(): void {
    assert(!this.#parked && this.#buffer.length > 0, 'who has nothing to read is not parked');
    this.#parked = true;
    this.#mux.tell({
      ...{ type: 'watchPaused', key: this.key, bufferedEvents: this.#bufferedEvents },
    });
    this.#partial = [];
    void this.#mux.remove(this);
  }

  async #nextBatch(): Promise<RawBatch | undefined> {
    for (;;) {
      const batch = this.#buffer.shift();
      if (batch !== undefined) {
        this.#bufferedEvents -= batch.events.length;
        assert(this.#bufferedEvents >= 0, 'no more events are read than came');
        if (this.#parked && this.#bufferedEvents <= this.#bufferEventsMax / 2) {
          this.#parked = false;
          this.#mux.add(this);
        }
        return batch;
      }
      if (this.#ended) {
        const error = this.#error;
        this.#error = undefined; // said once; then it is just over
        if (error !== undefined) throw atCaller(error);
        return undefined;
      }
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  /** A value that can't be decoded ends the watch, unless it is to be reported. */
  async #decoded(batch: RawBatch): Promise<Array<WatchEvent<V, O>>> {
    const { prev, onInvalid, progress } = this.#options;
    const options = { prev: prev ?? false, reportInvalid: onInvalid === 'report' };
    try {
      const events: Array<AnyEvent<V> | { readonly type: 'progress'; readonly revision: number }> =
        batch.events.map((event) => eventOf(event, this.#view, options));
      if (events.length === 0 && progress === true) {
        events.push({ type: 'progress', revision: batch.revision });
      }
      // The options decide which of these can occur, which is what WatchEvent says.
      return events as unknown as Array<WatchEvent<V, O>>;
    } catch (error) {
      this.#end(undefined);
      await this.#closing;
      throw error;
    }
  }

  /** With an error: what is buffered is still handed over first. */
  #end(error: Error | undefined): void {
    if (this.#ended) {
      if (error === undefined) this.#discard();
      return;
    }
    this.#ended = true;
    this.#error = error;
    this.#takeBack?.();
    this.#closing = this.#mux.remove(this);
    this.#mux.tell({ type: 'watchEnded', key: this.key, error });
    this.#rejectReady(error ?? endedError());
    if (error === undefined) this.#discard();
    this.#wakeAll();
  }

  #discard(): void {
    this.#buffer = [];
    this.#bufferedEvents = 0;
    this.#partial = [];
    this.#current = [];
    this.#at = 0;
    this.#error = undefined;
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

function compactedError(next: number, compactRevision: number): EtcdClientError {
  return new EtcdClientError({
    code: 'OUT_OF_RANGE',
    reason: 'COMPACTED',
    outcome: 'failed',
    method: method.watch,
    message: `revision ${next} has been compacted; ${compactRevision} is the oldest to watch from`,
    compactRevision,
  });
}

function refusedError(response: WatchResponse): EtcdClientError {
  const text = refusalText(response.cancelReason);
  const reason = reasonOf(text);
  const code = refusalCode(response.cancelReason);
  return new EtcdClientError({
    code: isStatusName(code) ? code : 'FAILED_PRECONDITION',
    reason: reason === 'OTHER' ? 'WATCH_REFUSED' : reason,
    outcome: 'failed',
    method: method.watch,
    message: text === '' ? 'the server cancelled the watch' : text,
  });
}

function isStatusName(code: string | undefined): code is StatusName {
  return code !== undefined && code in GrpcCode && code !== statusName(GrpcCode.OK);
}

function endedError(): EtcdClientError {
  return new EtcdClientError({
    code: 'CANCELLED',
    reason: 'CLOSED',
    outcome: 'failed',
    message: 'the watch was closed before it was created',
  });
}
