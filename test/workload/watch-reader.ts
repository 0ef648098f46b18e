/** A watch as the checkers see it: what is asked for, and its answers with fragments joined. */

import {
  type Event,
  encodeWatchCreateRequest,
  WatchFilter,
  type WatchResponse,
} from '../../src/proto/index.js';
import type { WatchMessage } from '../checkers/watch-checker.js';
import { seenEvent } from './request-codec.js';

export interface WatchWish {
  readonly key: string;
  readonly end: string;
  /** 0: from now on. */
  readonly startRevision: number;
  readonly previous: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly progress: boolean;
  readonly fragment: boolean;
}

export function encodeWish(wish: WatchWish): Buffer {
  const { key, end: rangeEnd, startRevision, previous: prevKv, fragment } = wish;
  const { progress: progressNotify } = wish;
  const filters: number[] = [];
  if (wish.noPut) filters.push(WatchFilter.NOPUT);
  if (wish.noDelete) filters.push(WatchFilter.NODELETE);
  return encodeWatchCreateRequest({
    ...{ key, rangeEnd, startRevision, prevKv, fragment, progressNotify, filters },
  });
}

export interface WatchListener {
  /** The watch is there, from `revision` on. */
  onCreated(revision: number): void;
  onMessage(message: WatchMessage): void;
  /** The server ends it, or never began; with its words. */
  onCanceled(text: string): void;
}

/** Of the answers on one stream with one watch. */
export class WatchReader {
  readonly #listener: WatchListener;
  #fragments: Event[] = [];

  constructor(listener: WatchListener) {
    this.#listener = listener;
  }

  take(response: WatchResponse, atMs: number): void {
    const revision = response.header?.revision ?? 0;
    const { created, canceled, cancelReason, compactRevision } = response;
    if (created) {
      if (canceled) this.#listener.onCanceled(cancelReason);
      else this.#listener.onCreated(revision);
      return;
    }
    this.#fragments.push(...response.events);
    if (response.fragment) return;
    const events = this.#fragments.map(seenEvent);
    this.#fragments = [];
    const isProgress = events.length === 0 && !canceled;
    this.#listener.onMessage({ atMs, revision, events, compactRevision, isProgress });
    if (canceled) this.#listener.onCanceled(cancelReason);
  }
}

/** Of the newest event; 0: there is none. */
export function lastOf({ events }: WatchMessage): number {
  return events.at(-1)?.kv.mod ?? 0;
}

/** Where to go on after `message`, if it was `from` before: progress promises that all has come. */
export function resumeAfter(from: number, message: WatchMessage): number {
  const through = message.isProgress ? message.revision : lastOf(message);
  return Math.max(from, through + 1);
}
