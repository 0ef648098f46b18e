/** How one member of a cluster is set up (timing: paper 5.6, thesis 3.9 and 9.6). */

import type { MemberId } from '../common/index.js';
import type { StateTracer } from './trace-event.js';

/**
 * How old proposals may be that a follower passes on. They may have waited anywhere: in a queue, in
 * the buffers of a connection, at a leader that was stopped.
 */
export interface ForwardAge {
  /** Never goes back; no other member's clock is compared with it. */
  readonly nowMs: () => number;
  readonly maxMs: number;
}

/** Tuning; ticks are turned into time by the caller. */
export interface RaftOptions {
  readonly id: MemberId;
  readonly electionTimeoutTicks: number;
  readonly heartbeatTicks: number;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  /** Bytes of entries in one AppendEntries. */
  readonly appendBytesMax: number;
  /** AppendEntries in flight to one follower. */
  readonly inflightAppendsMax: number;
  /** Bytes proposed but not committed at the leader, above which it refuses. */
  readonly uncommittedBytesMax: number;
  /** Bytes of committed entries handed out in one Ready. */
  readonly applyBytesMax: number;
  /** Uniform integer in [0, 2^32), for election timeouts. */
  readonly randomU32: () => number;
  /** Without it forwarded proposals may be of any age. */
  readonly forwardAge?: ForwardAge;
  /** Is told every event, in order. Undefined costs nothing. */
  readonly tracer?: StateTracer | undefined;
}
