/** The keys of some prefixes, read once and then kept up to date by a watch. */

import { method, type RawStream } from '../../../client/raw/index.js';
import { type Clock, type KeyString, onAbort, type Timer } from '../../../common/index.js';
import {
  decodeWatchResponse,
  EventType,
  encodeWatchCreateRequest,
  type WatchResponse,
} from '../../../proto/index.js';
import { CommandError } from '../../command/index.js';
import { calmTimesMax } from '../limits.js';
import { spanOfPrefix } from '../span.js';
import { interruptedError, type Store } from '../store.js';
import { Keys } from './keys.js';

/** All keys below the prefixes, of one revision. */
export async function readKeys(
  store: Store,
  prefixes: readonly KeyString[],
): Promise<{ readonly keys: Keys; readonly revision: number }> {
  const keys = new Keys();
  let revision = 0;
  for (const prefix of prefixes) {
    for await (const page of store.pages(spanOfPrefix(prefix), { revision })) {
      revision = page.revision;
      for (const { key, value } of page.kvs) keys.set(key, value);
    }
  }
  return { keys, revision };
}

/** Keeps `keys` up to date. It ends with its stream: then all is read anew. */
export class KeyWatch {
  /** Of the last change. */
  revision: number;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #keys: Keys;
  #stream: RawStream | undefined;
  #error: Error | undefined;
  /** Something has changed since `next` resolved last; when that began, and when it went on. */
  #changedMs: number | undefined;
  #latestMs = 0;
  #wake: (() => void) | undefined;
  #timer: Timer | undefined;
  #takeBack: (() => void) | undefined;

  constructor(store: Store, clock: Clock, keys: Keys, revision: number) {
    this.#store = store;
    this.#clock = clock;
    this.#keys = keys;
    this.revision = revision;
  }

  async open(prefixes: readonly KeyString[]): Promise<void> {
    this.#takeBack = onAbort(this.#store.interrupted, () => this.#fail(interruptedError()));
    // A member without a leader ends the watch, instead of saying nothing for ever.
    const options = { metadata: { hasleader: 'true' }, signal: this.#store.interrupted };
    this.#stream = await this.#store.calls.stream(
      method.watch,
      'read',
      {
        message: (message) => this.#take(decodeWatchResponse(message)),
        ended: (error) => this.#fail(error ?? new CommandError('the server ended the watch')),
      },
      options,
    );
    const startRevision = this.revision + 1;
    for (const prefix of prefixes) {
      const { key, rangeEnd } = spanOfPrefix(prefix);
      this.#stream.send(encodeWatchCreateRequest({ key, rangeEnd, startRevision }));
    }
  }

  /** Resolves when something has changed and nothing more does for `calmMs`; rejects at its end. */
  async next(calmMs: number): Promise<void> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#changedMs !== undefined) {
        const dueMs = Math.min(this.#latestMs + calmMs, this.#changedMs + calmTimesMax * calmMs);
        const leftMs = dueMs - this.#clock.nowMs();
        if (leftMs <= 0) break;
        this.#timer = this.#clock.after(leftMs, () => this.#wake?.());
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#timer?.cancel();
    }
    this.#changedMs = undefined;
  }

  close(): void {
    this.#takeBack?.();
    this.#fail(new CommandError('the watch was closed'));
    this.#stream?.cancel();
  }

  #take({ canceled, cancelReason, compactRevision, events }: WatchResponse): void {
    if (this.#error !== undefined) return;
    if (canceled) {
      const compacted = compactRevision > 0 ? 'the store was compacted beyond it' : '';
      this.#fail(new CommandError(`the watch ended: ${cancelReason || compacted}`));
      return;
    }
    try {
      for (const { type, kv } of events) {
        if (kv === undefined) continue;
        if (type === EventType.DELETE) this.#keys.delete(kv.key);
        // It is kept for long: not with the rest of its message.
        else this.#keys.set(kv.key, Buffer.from(kv.value));
        this.revision = Math.max(this.revision, kv.modRevision);
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      this.#fail(error);
      return;
    }
    if (events.length === 0) return;
    this.#latestMs = this.#clock.nowMs();
    this.#changedMs ??= this.#latestMs;
    this.#wake?.();
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#wake?.();
  }
}
