/** The trace of a real member's Raft: lines appended to a file, each as it happens. */

import type { Logger } from '../../common/index.js';
import { type StateTracer, TraceLines } from '../../raft/index.js';
import { nodeClock } from './clock-node.js';
import { appendLines } from './logger-pino.js';

/** Where a member tells what its Raft does. */
export interface RaftTraceFile {
  readonly tracer: StateTracer;
  /** Ends it; later events are dropped. */
  close(): void;
}

/**
 * Opens `path` for appending; throws as node:fs does. Each line is written before the member goes
 * on, so that a trace ends where the process did, and members on one machine may share a file: its
 * lines are then in the order of what they tell. That costs far more than tracing itself, and is
 * for finding faults, not for every day. A file that can't be written does not end the member.
 */
export function openRaftTrace(path: string, logger: Logger): RaftTraceFile {
  const sink = appendLines(path, (error) => {
    logger.warn('cannot write the trace of Raft', { path, error });
  });
  let isOpen = true;
  return {
    tracer: new TraceLines(
      // Not the wall clock: it may be set back, and tells whole milliseconds.
      () => performance.timeOrigin + nodeClock.nowMs(),
      (line) => {
        if (isOpen) sink.write(line);
      },
    ),
    close() {
      isOpen = false;
      sink.end();
    },
  };
}
