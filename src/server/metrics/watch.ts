/** How long sending to watchers takes, under etcd's names. */

import { exponentialBuckets, Histogram } from './histogram.js';

const buckets = exponentialBuckets(0.001, 2, 14);

/** One per server; seconds. */
export class WatchSendLoop {
  /** Live events, for each watcher: the average of a flush. */
  readonly watchStream = new Histogram(buckets);
  readonly watchStreamPerEvent = new Histogram(buckets);
  /** Created, cancelled, progress that was asked for. */
  readonly controlStream = new Histogram(buckets);
  /** Progress of all watchers of a stream. */
  readonly progress = new Histogram(buckets);
}
