/**
 * The changes of a range of revisions, by a watch over all keys. A watch can't be told to wait:
 * where too much has come that nobody has taken, it is ended, and begun again behind that.
 */

import type { ChangeLine } from '../../backup/index.js';
import { type EtcdClientError, isEtcdError } from '../../client/index.js';
import { method, type RawClient, type RawStream } from '../../client/raw/index.js';
import { backupWaitingBytesMax, EtcdError, emptyBytes, sleep } from '../../common/index.js';
import {
  decodeWatchResponse,
  EventType,
  encodeKeyValue,
  encodeWatchCreateRequest,
  encodeWatchProgressRequest,
  type WatchResponse,
} from '../../proto/index.js';
import { CommandError } from '../command/index.js';

/** Both inclusive. */
export interface RevisionRange {
  readonly from: number;
  readonly to: number;
}

/** Asked as long as nothing has come that shows that `to` is reached. */
const progressMs = 100;
const everything = '\0';
/** A tombstone as it is stored has the key alone. */
const deleted = { createRevision: 0, modRevision: 0, version: 0, value: emptyBytes, lease: 0n };

/** Throws COMPACTED if they are not there any more, and what ends the watch otherwise. */
export async function* watchedChanges(
  client: RawClient,
  endpoint: string,
  { from, to }: RevisionRange,
  signal: AbortSignal,
): AsyncGenerator<ChangeLine> {
  let next = from;
  while (next <= to) {
    const watch = new Watch(to);
    const stream = await client.stream(method.watch, 'read', watch, { endpoint, signal });
    watch.begin(stream, next);
    try {
      for await (const line of watch.lines(client, signal)) {
        yield line;
        next = line.main;
      }
    } finally {
      stream.cancel();
    }
    if (watch.isComplete) return;
    // The last revision that came may be cut short only where it was not whole yet.
    next = watch.wholeThrough + 1;
  }
}

class Watch {
  /** Everything up to `to` has come. */
  isComplete = false;
  /** The last revision that has come as a whole. */
  wholeThrough = 0;
  readonly #to: number;
  #stream: RawStream | undefined;
  /** Whole revisions. */
  #queue: ChangeLine[] = [];
  /** Of a revision whose response goes on. */
  #fragment: ChangeLine[] = [];
  #bytes = 0;
  #isOverfull = false;
  #main = 0;
  #sub = 0;
  #error: Error | undefined;
  #wake: () => void = () => {};

  constructor(to: number) {
    this.#to = to;
  }

  begin(stream: RawStream, startRevision: number): void {
    this.#stream = stream;
    this.wholeThrough = startRevision - 1;
    const all = { key: everything, rangeEnd: everything };
    stream.send(encodeWatchCreateRequest({ ...all, startRevision, fragment: true }));
  }

  message(bytes: Buffer): void {
    const response = decodeWatchResponse(bytes);
    if (response.canceled) this.#error ??= refusal(response);
    else if (!this.isComplete && !this.#isOverfull) this.#take(response);
    this.#wake();
  }

  ended(error: EtcdClientError | undefined): void {
    this.#error ??= error ?? new CommandError('the watch was ended by the server');
    this.#wake();
  }

  /** Until it is complete, or too much waits. */
  async *lines(client: RawClient, signal: AbortSignal): AsyncGenerator<ChangeLine> {
    for (;;) {
      const queue = this.#queue;
      this.#queue = [];
      this.#bytes = 0;
      yield* queue;
      if (this.#queue.length > 0) continue;
      if (this.isComplete || this.#isOverfull) return;
      if (this.#error !== undefined) throw this.#error;
      signal.throwIfAborted();
      const come = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await Promise.race([come, sleep(client.clock, progressMs)]);
      if (this.#queue.length === 0) this.#stream?.send(encodeWatchProgressRequest());
    }
  }

  #take({ created, events, fragment, header }: WatchResponse): void {
    for (const { kv, type } of events) {
      if (kv === undefined) continue;
      if (kv.modRevision !== this.#main) this.#sub = 0;
      this.#main = kv.modRevision;
      const isTombstone = type === EventType.DELETE;
      const keyValue = encodeKeyValue(isTombstone ? { ...deleted, key: kv.key } : kv);
      const line = { kind: 'change', main: this.#main, sub: this.#sub, isTombstone } as const;
      this.#sub += 1;
      if (this.#main <= this.#to) this.#fragment.push({ ...line, keyValue });
      this.#bytes += keyValue.length;
    }
    // The rest of its revisions is in the next one.
    if (fragment) return;
    this.#queue.push(...this.#fragment);
    this.#fragment = [];
    this.wholeThrough = Math.max(this.wholeThrough, Math.min(this.#main, this.#to));
    const isProgress = events.length === 0 && !created && (header?.revision ?? 0) >= this.#to;
    this.isComplete = isProgress || this.#main >= this.#to;
    this.#isOverfull = this.#bytes > backupWaitingBytesMax;
  }
}

function refusal({ cancelReason, compactRevision }: WatchResponse): Error {
  if (compactRevision > 0) return new EtcdError('COMPACTED');
  return new CommandError(`the watch was refused: ${cancelReason}`);
}

/** True if history was compacted before it was read. */
export function isCompacted(error: unknown): boolean {
  if (error instanceof EtcdError) return error.reason === 'COMPACTED';
  return isEtcdError(error) && error.reason === 'COMPACTED';
}
