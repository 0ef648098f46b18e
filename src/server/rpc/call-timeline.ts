/**
 * The steps of a call in the order of their times, of what was noted on its way. What a call did
 * not go through is not there, nor what nobody knows any more.
 */

import type { CallSteps } from '../../transport/index.js';
import type { StepTimes } from '../metrics/index.js';

/** Durable is on this member, committed on a majority: either may come first. */
export type CallStep =
  | 'received'
  | 'proposed'
  | 'durable'
  | 'committed'
  | 'applied'
  | 'confirmed'
  | 'room'
  | 'sent';

/** `received` first, `sent` last; times on the injected clock. */
export type Timeline = ReadonlyArray<readonly [step: CallStep, atMs: number]>;

/** `sent`: the answer was handed to the connection, which writes it with the end of the turn. */
export function timelineOf(
  steps: CallSteps | undefined,
  times: StepTimes,
  receivedMs: number,
  sentMs: number,
): Timeline {
  const between = steps === undefined ? [] : stepsBetween(steps, times);
  const known = between.filter(([, atMs]) => atMs > 0);
  known.sort(([, a], [, b]) => a - b);
  return [['received', receivedMs], ...known, ['sent', sentMs]];
}

function stepsBetween(
  steps: CallSteps,
  times: StepTimes,
): Array<readonly [step: CallStep, atMs: number]> {
  const { appliedMs, confirmedMs, index, proposedMs, roomMs } = steps;
  return [
    ['proposed', proposedMs],
    ['durable', index === 0 ? 0 : (times.durable.at(index) ?? 0)],
    ['committed', index === 0 ? 0 : (times.committed.at(index) ?? 0)],
    ['applied', appliedMs],
    ['confirmed', confirmedMs],
    ['room', roomMs],
  ];
}
