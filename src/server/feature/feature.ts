/**
 * The one contract of what a member can do. A capability (keys, watches, leases, members, alarms,
 * later users) is a folder that exports one function: it is given a {@link Host} and returns a
 * {@link Feature}. All that the node knows of the capability stands in it, so a new one touches its
 * own folder, a number in entry/format.ts for each kind of entry, and a line in member.ts.
 *
 * The order of a member's life:
 *
 *     construct    all features, before anything of the log is applied
 *     restore      the state is there: at open, and again after each installed snapshot
 *     join         the loop runs; what has to be told to the cluster before clients are served
 *     check        joined (or tired of waiting); a rejection ends the start
 *     serve        clients can come: background work begins
 *     lead/follow  any time after restore, in turns
 *     retire       the member stops: no new background work
 *     close        nothing is applied any more; the store closes next
 */

import type { MemberId, Slice, Steps, Term } from '../../common/index.js';
import type { MvccCommit, StoredMeta } from '../../storage/index.js';
import type { MethodHandler } from '../../transport/index.js';
import type { EntryType } from '../entry/index.js';
import type { GaugeReadings } from '../metrics/index.js';
import type { PeerMethod } from '../peers/index.js';

/** Answers a question of the member `from` (0n: it is none yet); rejects with an EtcdError. */
export type Answerer = (body: Uint8Array, from: MemberId) => Uint8Array | Promise<Uint8Array>;

/** Who is told of each committed revision: there is one, the watches. */
export interface CommitSink {
  publish(commit: MvccCommit): void;
  /** The same for one with very many events. */
  publishSteps(commit: MvccCommit, slice: Slice): Steps<void>;
  /** After a run of entries, before the turn ends: what was published leaves now. */
  flush(): void;
}

export interface Feature {
  /** For messages about it: 'lease'. */
  readonly name: string;
  // ------------------------------------------------------------------------- what it brings
  /** The kinds of log entries that it applies. */
  readonly entries?: readonly EntryType[];
  /** RPCs by full method name. */
  readonly methods?: ReadonlyArray<readonly [string, MethodHandler]>;
  /** What it answers to other members. */
  readonly questions?: ReadonlyArray<readonly [PeerMethod, Answerer]>;
  /** Only one feature has it. */
  readonly commits?: CommitSink;
  /** Its part of what a scrape reads; may bring totals of Metrics up to date as well. */
  readonly gauges?: () => Partial<GaugeReadings>;
  // ------------------------------------------------------------------------- its life
  /**
   * Reads its state from what is stored, in steps, and changes nothing yet: the present state may
   * be served meanwhile. What it returns puts the new one in its place, at once.
   */
  restore?(stored: StoredMeta, slice: Slice): Steps<() => void>;
  /** Resolves once the cluster knows what it must; the start goes on without it after a while. */
  join?(): Promise<void>;
  /** Rejects if the member must not serve. */
  check?(): Promise<void>;
  serve?(): void;
  /** This member leads in `term` (told anew for each term). */
  lead?(term: Term): void;
  follow?(): void;
  retire?(): void;
  close?(): void;
}
