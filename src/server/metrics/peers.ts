/** What the links between members count, under etcd's names where they mean the same. */

import { CounterFamily, exponentialBuckets, HistogramFamily } from './histogram.js';

/** Members that ever were: more than any cluster has, in case somebody makes them up. */
const membersMax = 128;

/** Snapshots in one direction. */
export class SnapshotTransferMetrics {
  readonly successes: CounterFamily;
  readonly failures: CounterFamily;
  /** Now under way. */
  readonly inflight: CounterFamily;
  readonly seconds: HistogramFamily;

  /** `label`: 'To' or 'From'. */
  constructor(label: string) {
    this.successes = new CounterFamily([label], membersMax);
    this.failures = new CounterFamily([label], membersMax);
    this.inflight = new CounterFamily([label], membersMax);
    this.seconds = new HistogramFamily([label], exponentialBuckets(0.1, 2, 10));
  }
}

/** One per server; ids are in hex, as everywhere. Keep what `of` returns where it is hot. */
export class PeerMetrics {
  /** Frames of Raft messages, by To and From. */
  readonly sentBytes = new CounterFamily(['To'], membersMax);
  readonly receivedBytes = new CounterFamily(['From'], membersMax);
  /** Messages that found no link or no room. */
  readonly sentFailures = new CounterFamily(['To'], membersMax);
  /** Frames that were damaged, and streams that did not introduce themselves (From unknown). */
  readonly receivedFailures = new CounterFamily(['From'], membersMax);
  readonly roundTrip = new HistogramFamily(['To'], exponentialBuckets(0.0001, 2, 16));
  /** 1: both lanes are up; 0: not. */
  readonly active = new CounterFamily(['Local', 'Remote'], membersMax);
  readonly disconnected = new CounterFamily(['Local', 'Remote'], membersMax);
  /** Refused at our port, by refusal. */
  readonly refused = new CounterFamily(['reason'], 16);
  readonly snapshotSend = new SnapshotTransferMetrics('To');
  readonly snapshotReceive = new SnapshotTransferMetrics('From');
  /** 1: it is a member, itself included; 0: it was. */
  readonly known = new CounterFamily(['Local', 'Remote'], membersMax);

  /** `local` is a member with those in `members`, itself among them or not. */
  setKnown(local: string, members: Iterable<string>): void {
    const now = new Set([local, ...members]);
    for (const { labels } of this.known.rows()) {
      const { Local = '', Remote = '' } = labels;
      if (!now.has(Remote)) this.known.of(Local, Remote).value = 0;
    }
    for (const remote of now) this.known.of(local, remote).value = 1;
  }
}
