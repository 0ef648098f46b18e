/** One watch on one member: its messages as the checkers want them, fragments joined. */

import {
  decodeWatchResponse,
  type Event,
  encodeWatchCreateRequest,
  encodeWatchProgressRequest,
  WatchFilter,
} from '../../src/proto/index.js';
import type { ClientStream } from '../../src/transport/index.js';
import type { SeenEvent, WatchMessage } from '../checkers/watch-checker.js';
import { kvOf } from '../sim/calls.js';
import type { Connection } from './connection.js';

export interface WatchWish {
  readonly key: string;
  readonly end: string;
  /** 0: from now on. */
  readonly startRevision: number;
  readonly previous: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly fragment: boolean;
  readonly progress: boolean;
}

export interface WatchListener {
  onCreated(revision: number): void;
  onMessage(message: WatchMessage): void;
  /** Once, whatever ended it; nothing comes after. */
  onEnd(text: string): void;
}

export class WatchStream {
  readonly connection: Connection;
  readonly #stream: ClientStream;
  readonly #listener: WatchListener;
  #fragments: Event[] = [];
  #ended = false;

  constructor(connection: Connection, wish: WatchWish, listener: WatchListener) {
    this.connection = connection;
    this.#listener = listener;
    this.#stream = connection.stream('/etcdserverpb.Watch/Watch');
    this.#stream.onMessage = (message) => this.#receive(message);
    this.#stream.onStatus = (status) => this.#end(status.message);
    const { key, end: rangeEnd, startRevision, previous: prevKv, fragment, progress } = wish;
    const filters: number[] = [];
    if (wish.noPut) filters.push(WatchFilter.NOPUT);
    if (wish.noDelete) filters.push(WatchFilter.NODELETE);
    const progressNotify = progress;
    this.#stream.send(
      encodeWatchCreateRequest({
        ...{ key, rangeEnd, startRevision, prevKv, fragment, progressNotify, filters },
      }),
    );
  }

  askProgress(): void {
    if (!this.#ended) this.#stream.send(encodeWatchProgressRequest());
  }

  /** Reads nothing for a while: what comes piles up at the server. */
  pause(): void {
    if (!this.#ended) this.#stream.pause();
  }

  resume(): void {
    if (!this.#ended) this.#stream.resume();
  }

  close(): void {
    this.#ended = true;
    this.connection.close();
  }

  #receive(bytes: Buffer): void {
    if (this.#ended) return;
    const response = decodeWatchResponse(bytes);
    const revision = response.header?.revision ?? 0;
    if (response.created) {
      if (response.canceled) this.#end(response.cancelReason);
      else this.#listener.onCreated(revision);
      return;
    }
    this.#fragments.push(...response.events);
    if (response.fragment) return;
    const events = this.#fragments.map(seenEvent);
    this.#fragments = [];
    const { compactRevision, canceled } = response;
    const isProgress = events.length === 0 && !canceled;
    const atMs = performance.now();
    this.#listener.onMessage({ atMs, revision, events, compactRevision, isProgress });
    if (canceled) this.#end(response.cancelReason);
  }

  #end(text: string): void {
    if (this.#ended) return;
    this.close();
    this.#listener.onEnd(text);
  }
}

function seenEvent({ type, kv, prevKv }: Event): SeenEvent {
  if (kv === undefined) throw new Error('an event without kv');
  return {
    type: type === 0 ? 'put' : 'delete',
    kv: kvOf(kv),
    previous: prevKv === undefined ? undefined : kvOf(prevKv),
  };
}
