/** Compares what the reference and the target said to one step. */

import { expect } from 'vitest';
import type { EtcdctlSession, EtcdctlStep } from '../../helpers/etcdctl.js';
import { saysPending } from '../../helpers/pending.js';
import { targetMinor } from '../../helpers/target.js';
import { reconcile } from './differences.js';

/** The reference's session, and the target's. */
export type Sessions = readonly [EtcdctlSession, EtcdctlSession];

/** Runs the step on both; what is said must be the same. */
export async function compareStep(
  sessions: Sessions,
  step: EtcdctlStep,
  skip: (note: string) => void,
): Promise<void> {
  const said = await Promise.all([sessions[0].run(step), sessions[1].run(step)]);
  if (saysPending(said[1])) skip('kvorum has this RPC not yet');
  compareTranscripts(step, said);
}

/** The step as a test's name. */
export function nameOf(step: EtcdctlStep): string {
  const input = step.stdin === undefined ? '' : ` <<< ${JSON.stringify(step.stdin)}`;
  return `etcdctl ${step.args.join(' ')}${input}`;
}

/** Fails unless they are equal but for the known differences. */
export function compareTranscripts(step: EtcdctlStep, said: readonly [string, string]): void {
  if (process.env.KVORUM_TRANSCRIPT === '1') console.log(said[1]);
  const [expected, actual] =
    targetMinor === 4 ? said : reconcile(step.args.join(' '), said[0], said[1]);
  expect(actual).toBe(expected);
}
