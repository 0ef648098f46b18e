/** The trace of a real member's Raft: lines appended to a file, each as it happens. */

import type { Clock, Logger } from '../../common/index.js';
import { type StateTracer, TraceLines } from '../../raft/index.js';
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
export function openRaftTrace(path: string, clock: Clock, logger: Logger): RaftTraceFile {
  const sink = appendLines(path, (error) => {
    logger.warn('cannot write the trace of Raft', { path, error });
  });
  // The wall clock may be set back; what passes since now is told by the other one.
  const startMs = clock.wallMs() - clock.nowMs();
  let isOpen = true;
  return {
    tracer: new TraceLines(
      () => startMs + clock.nowMs(),
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
