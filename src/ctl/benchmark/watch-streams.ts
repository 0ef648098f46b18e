/** Watchers on streams of their own: so many on each, each for one key. */

import { method, type RawClient, type RawStream } from '../../client/raw/index.js';
import type { Clock } from '../../common/index.js';
import { decodeWatchResponse, encodeWatchCreateRequest } from '../../proto/index.js';

export interface WatcherPlan {
  readonly streams: number;
  readonly perStream: number;
  readonly prevKv: boolean;
  /** Number of a watcher -> its key. */
  readonly keyOf: (watcher: number) => string;
}

export interface WatcherEvents {
  /** A watcher is there that was asked for at that moment of the clock. */
  created(askedMs: number): void;
  /** One event of one watcher, with the value that was put. */
  event(value: Buffer): void;
  failed(error: Error): void;
}

/** Opens the streams and asks for the watchers. */
export async function openWatchers(
  connections: readonly RawClient[],
  plan: WatcherPlan,
  clock: Clock,
  events: WatcherEvents,
): Promise<{ close(): void }> {
  const streams: Array<{ readonly stream: RawStream; readonly askedMs: number[] }> = [];
  let isClosed = false;
  for (let i = 0; i < plan.streams; i += 1) {
    const client = connections[i % connections.length];
    if (client === undefined) break;
    // A stream creates its watchers in the order in which they were asked for.
    const askedMs: number[] = [];
    const stream = await client.stream(method.watch, 'read', {
      message(bytes) {
        const response = decodeWatchResponse(bytes);
        if (response.canceled) events.failed(new Error(response.cancelReason || 'canceled'));
        else if (response.created) events.created(askedMs.shift() ?? clock.nowMs());
        for (const { kv } of response.events) if (kv !== undefined) events.event(kv.value);
      },
      ended(error) {
        if (error !== undefined && !isClosed) events.failed(error);
      },
    });
    streams.push({ stream, askedMs });
  }
  for (const [i, { stream, askedMs }] of streams.entries()) {
    for (let watcher = 0; watcher < plan.perStream; watcher += 1) {
      const key = plan.keyOf(i * plan.perStream + watcher);
      askedMs.push(clock.nowMs());
      stream.send(encodeWatchCreateRequest({ key, prevKv: plan.prevKv }));
    }
  }
  return {
    close() {
      isClosed = true;
      for (const { stream } of streams) stream.cancel();
    },
  };
}
