/** Trying until something has happened that others have to do: bounded, and told about. */

import { isEtcdError, type Reason } from '../../client/index.js';
import { CommandError, durationText, exit } from '../command/index.js';
import type { ClusterCalls } from './calls.js';

/** How somebody waits. */
export interface Waiting {
  readonly calls: Pick<ClusterCalls, 'sleep'>;
  readonly interrupted: AbortSignal;
  /** A line about what goes on; the same one is told once. */
  readonly tell: (line: string) => void;
  /** For each thing that is waited for. */
  readonly waitMs: number;
}

/** Between two tries. */
export const tryMs = 500;

/** What passes by itself: no leader for a moment, a member that has just connected, a lost answer. */
const passing: ReadonlySet<Reason> = new Set<Reason>([
  ...(['NO_LEADER', 'NOT_LEADER', 'LEADER_CHANGED', 'STOPPED', 'UNHEALTHY'] as const),
  ...(['TIMEOUT', 'TIMEOUT_LEADER_FAILURE', 'TIMEOUT_CONNECTION_LOST', 'TIMEOUT_APPLY'] as const),
  ...(['TOO_MANY_LEARNERS', 'LEARNER_NOT_READY', 'NOT_ENOUGH_STARTED', 'NOT_CAPABLE'] as const),
  ...(['CONNECT_FAILED', 'CONNECTION_LOST', 'CALL_TIMEOUT', 'TOO_MANY_REQUESTS'] as const),
]);

/**
 * Calls `attempt` until it returns something. What fails and may pass is told and tried again; the
 * rest is thrown. Throws CommandError when it is over: interrupted, or nothing came in time.
 */
export async function until<T>(
  { calls, interrupted, tell, waitMs }: Waiting,
  what: string,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  const tries = Math.ceil(waitMs / tryMs);
  let last = '';
  for (let left = tries; ; left -= 1) {
    if (interrupted.aborted) {
      throw new CommandError(`interrupted while ${what}; run it again to go on`, exit.interrupted);
    }
    try {
      const found = await attempt();
      if (found !== undefined) return found;
    } catch (error) {
      if (!isEtcdError(error) || !passing.has(error.reason)) throw error;
      last = `: ${error.message}`;
      tell(`${what}${last}`);
    }
    if (left <= 0) {
      throw new CommandError(
        `gave up ${what} after ${durationText(waitMs)}${last}; run it again to go on`,
      );
    }
    await calls.sleep(tryMs);
  }
}
