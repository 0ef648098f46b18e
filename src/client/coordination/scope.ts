/** Waiting: what ends a wait, pauses, and which failures pass by themselves. */

import { type Clock, jittered, onAbort, pause } from '../../common/index.js';
import type { CallOptions } from '../call/index.js';
import { EtcdClientError, isEtcdError } from '../errors.js';
import { persistDelayMsMax, persistDelayMsMin } from '../limits.js';

export { pause, unlessAborted } from '../../common/index.js';

/** Bounds of a wait, in one signal. */
export interface Scope {
  /** Its reason is an EtcdClientError. */
  readonly signal: AbortSignal;
  /** Takes all listeners and timers away. */
  end(): void;
}

/** Aborts with the caller's signal, the caller's deadline, or one of `others`. */
export function scopeOf(
  clock: Clock,
  options: Pick<CallOptions, 'signal' | 'timeoutMs'>,
  ...others: AbortSignal[]
): Scope {
  const controller = new AbortController();
  const ends: Array<() => void> = [];
  const link = (signal: AbortSignal, reason: () => unknown): void => {
    ends.push(onAbort(signal, () => controller.abort(reason())));
  };
  for (const other of others) link(other, () => other.reason);
  const { signal, timeoutMs } = options;
  if (signal !== undefined) link(signal, () => abortedError(signal));
  if (timeoutMs !== undefined && Number.isFinite(timeoutMs) && !controller.signal.aborted) {
    const timer = clock.after(timeoutMs, () => controller.abort(timeoutError()));
    ends.push(() => timer.cancel());
  }
  return {
    signal: controller.signal,
    end: () => {
      for (const end of ends.splice(0)) end();
    },
  };
}

/** Whether what failed like this may succeed when it is done again (it must be idempotent). */
export function passes(error: unknown): boolean {
  if (!isEtcdError(error)) return false;
  if (error.reason === 'ABORTED' || error.reason === 'CLOSED') return false;
  return (
    error.outcome === 'unknown' ||
    error.code === 'UNAVAILABLE' ||
    error.code === 'DEADLINE_EXCEEDED' ||
    error.reason === 'TOO_MANY_REQUESTS'
  );
}

/**
 * Repeats what is idempotent while its failures are of the passing kind. Rejects with the signal's
 * reason when that aborts.
 */
export async function persist<T>(
  runtime: { readonly clock: Clock; readonly random: { float(): number } },
  signal: AbortSignal,
  attempt: () => Promise<T>,
): Promise<T> {
  for (let delayMs = persistDelayMsMin; ; delayMs = Math.min(delayMs * 2, persistDelayMsMax)) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (!passes(error)) throw signal.aborted ? signal.reason : error;
    }
    await pause(runtime.clock, jittered(delayMs, runtime.random), signal);
  }
}

function abortedError(signal: AbortSignal): EtcdClientError {
  return new EtcdClientError({
    code: 'CANCELLED',
    reason: 'ABORTED',
    outcome: 'failed',
    message: 'the wait was aborted',
    cause: signal.reason,
  });
}

function timeoutError(): EtcdClientError {
  return new EtcdClientError({
    code: 'DEADLINE_EXCEEDED',
    reason: 'CALL_TIMEOUT',
    outcome: 'failed',
    message: 'the deadline of the wait passed',
  });
}
