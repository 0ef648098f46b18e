/** One watch on one member: its messages as the checkers want them, fragments joined. */

import { decodeWatchResponse, encodeWatchProgressRequest } from '../../src/proto/index.js';
import type { ClientStream } from '../../src/transport/index.js';
import {
  encodeWish,
  type WatchListener,
  WatchReader,
  type WatchWish,
} from '../workload/watch-reader.js';
import type { Connection } from './connection.js';

export interface StreamListener extends Pick<WatchListener, 'onCreated' | 'onMessage'> {
  /** Once, whatever ended it; nothing comes after. */
  onEnd(text: string): void;
}

export class WatchStream {
  readonly connection: Connection;
  readonly #stream: ClientStream;
  readonly #listener: StreamListener;
  #ended = false;

  constructor(connection: Connection, wish: WatchWish, listener: StreamListener) {
    this.connection = connection;
    this.#listener = listener;
    this.#stream = connection.stream('/etcdserverpb.Watch/Watch');
    const reader = new WatchReader({
      onCreated: (revision) => listener.onCreated(revision),
      onMessage: (message) => listener.onMessage(message),
      onCanceled: (text) => this.#end(text),
    });
    this.#stream.onMessage = (bytes) => {
      if (!this.#ended) reader.take(decodeWatchResponse(bytes), performance.now());
    };
    this.#stream.onStatus = (status) => this.#end(status.message);
    this.#stream.send(encodeWish(wish));
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

  #end(text: string): void {
    if (this.#ended) return;
    this.close();
    this.#listener.onEnd(text);
  }
}
