/** How much watches may hold and send at once. */

import {
  grpcOverheadBytes,
  requestBytesMaxDefault,
  watchBacklogBytesMax,
  watchBacklogBytesTotalMax,
  watchCatchUpBytesMax,
  watchCatchUpRevisionsMax,
  watchHeldBytesMax,
  watchHeldEventsMax,
  watchMessageBytesMax,
  watchMessageBytesTarget,
  watchPendingEventsMax,
  watchProgressIntervalMs,
  watchResponseBytesMax,
} from '../../common/index.js';

/** Bounds of the hub. */
export interface WatchLimits {
  /** A stream with more unsent bytes gets no more events until it has drained. */
  readonly backlogBytesMax: number;
  /** Unsent bytes of all streams together above which each slow stream is held back at once. */
  readonly backlogBytesTotalMax: number;
  /** With fragment=true a response of this size is cut between events. */
  readonly fragmentBytes: number;
  /** Responses are cut before a revision with which they would be larger. */
  readonly messageBytesTarget: number;
  /** The same for watchers that are behind: in one message, and for clients that take any size. */
  readonly messageBytesMax: number;
  readonly responseBytesMax: number;
  /** Bytes, and events times watchers, that wait for the rest of their response. */
  readonly heldBytesMax: number;
  readonly heldEventsMax: number;
  /** Distinct revisions of one response and of one page of history, and bytes of a page. */
  readonly catchUpRevisionsMax: number;
  readonly catchUpBytesMax: number;
  /** Event references waiting for a flush above which publish flushes by itself. */
  readonly pendingEventsMax: number;
  readonly progressIntervalMs: number;
}

/** etcd's defaults, and our bounds. */
export const defaultWatchLimits: WatchLimits = {
  backlogBytesMax: watchBacklogBytesMax,
  backlogBytesTotalMax: watchBacklogBytesTotalMax,
  fragmentBytes: requestBytesMaxDefault + grpcOverheadBytes,
  messageBytesTarget: watchMessageBytesTarget,
  messageBytesMax: watchMessageBytesMax,
  responseBytesMax: watchResponseBytesMax,
  heldBytesMax: watchHeldBytesMax,
  heldEventsMax: watchHeldEventsMax,
  catchUpRevisionsMax: watchCatchUpRevisionsMax,
  catchUpBytesMax: watchCatchUpBytesMax,
  pendingEventsMax: watchPendingEventsMax,
  progressIntervalMs: watchProgressIntervalMs,
};
