/**
 * The events of one key that have happened already, by a watch that ends where the past ends. The
 * server sends as fast as it can and can't be held up: if whoever reads is behind by too much, the
 * watch is given up, and begins anew behind what was read.
 */

import { method, type RawStream } from '../../client/raw/index.js';
import { type Clock, type KeyString, onAbort, type Timer } from '../../common/index.js';
import {
  decodeWatchResponse,
  type Event,
  encodeWatchCreateRequest,
  encodeWatchProgressRequest,
  type WatchResponse,
} from '../../proto/index.js';
import { CommandError } from '../command/index.js';
import { historyBufferBytesMax, progressIntervalMs } from './limits.js';
import { interruptedError, type Store } from './store.js';

/** How a watch of the past ended. */
type End =
  /** All that there is has come. */
  | { readonly kind: 'told' }
  /** What was asked for is compacted; this is the oldest revision that can be watched. */
  | { readonly kind: 'compacted'; readonly revision: number }
  /** Nobody read it in time. */
  | { readonly kind: 'behind' };

/** What is asked for: events of `key` from a revision on, up to `until`. */
export interface Past {
  readonly key: KeyString;
  readonly from: number;
  readonly until: number;
  /** The revision of the last event, if it is known. */
  readonly last: number | undefined;
}

type Timers = Pick<Clock, 'after'>;

/** One watch; see the head of this file. */
export class PastEvents {
  readonly #store: Store;
  readonly #past: Past;
  readonly #clock: Timers;
  #queue: Event[] = [];
  #queuedBytes = 0;
  #end: End | Error | undefined;
  #wake: (() => void) | undefined;
  #stream: RawStream | undefined;
  #timer: Timer | undefined;

  constructor(store: Store, past: Past, clock: Timers) {
    this.#store = store;
    this.#past = past;
    this.#clock = clock;
  }

  /** The events in order; returns how they ended. */
  async *read(): AsyncGenerator<Event, End, void> {
    const takeBack = onAbort(this.#store.interrupted, () => this.#finish(interruptedError()));
    try {
      this.#stream = await this.#store.calls.stream(method.watch, 'read', {
        message: (message) => this.#take(decodeWatchResponse(message)),
        ended: (error) => this.#finish(error ?? new CommandError('the server ended the watch')),
      });
      const { key, from } = this.#past;
      this.#stream.send(encodeWatchCreateRequest({ key, startRevision: from, fragment: true }));
      for (;;) {
        const events = this.#queue;
        this.#queue = [];
        this.#queuedBytes = 0;
        yield* events;
        if (this.#queue.length > 0) continue;
        if (this.#end instanceof Error) throw this.#end;
        if (this.#end !== undefined) return this.#end;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      takeBack();
      this.#finish({ kind: 'behind' });
      this.#stream?.cancel();
    }
  }

  #take(response: WatchResponse): void {
    if (this.#end !== undefined) return;
    const { created, canceled, compactRevision, cancelReason, events, header } = response;
    if (canceled && compactRevision > 0) {
      this.#finish({ kind: 'compacted', revision: compactRevision });
      return;
    }
    if (canceled) {
      this.#finish(new CommandError(cancelReason === '' ? 'the watch was refused' : cancelReason));
      return;
    }
    for (const event of events) this.#keep(event);
    if (created) this.#ask();
    else if (events.length === 0 && (header?.revision ?? 0) >= this.#past.until) {
      this.#finish({ kind: 'told' });
    }
  }

  #keep(event: Event): void {
    const { until, last } = this.#past;
    const { kv } = event;
    if (kv === undefined || this.#end !== undefined) return;
    if (kv.modRevision <= until) {
      if (this.#queuedBytes > historyBufferBytesMax) {
        this.#finish({ kind: 'behind' });
        return;
      }
      this.#queue.push(event);
      this.#queuedBytes += kv.value.length + kv.key.length;
      this.#wake?.();
    }
    if (kv.modRevision >= (last ?? until)) this.#finish({ kind: 'told' });
  }

  /** A mark of progress is sent only behind the events; before that a server answers nothing. */
  #ask(): void {
    if (this.#end !== undefined) return;
    this.#stream?.send(encodeWatchProgressRequest());
    this.#timer = this.#clock.after(progressIntervalMs, () => this.#ask());
  }

  #finish(end: End | Error): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#timer?.cancel();
    this.#wake?.();
  }
}
