/** Compares what the reference and the target said to one step. */

import { describe, expect } from 'vitest';
import type { EtcdctlSession, EtcdctlStep } from '../../helpers/etcdctl.js';
import { targetMinor, targetTool } from '../../helpers/target.js';
import { describeWith, have, slow, type Tool } from '../../helpers/tools.js';
import { reconcile } from './differences.js';

/** An etcd to compare with, and the etcdctl of the same version that talks to both. */
export interface Peer {
  /** 7 of 3.7. */
  readonly minor: number;
  readonly etcd: Tool;
  readonly etcdctl: Tool;
}

const newest: Peer = { minor: 7, etcd: 'etcd37', etcdctl: 'etcdctl37' };
const oldest: Peer = { minor: 4, etcd: 'etcd34', etcdctl: 'etcdctl34' };

/** The block for each peer; with the older one it runs where the newest is not, or nobody waits. */
export function describePeers(name: string, body: (peer: Peer) => void): void {
  const both: readonly Tool[] = ['etcd37', 'etcdctl37'];
  const haveNewest = both.every((tool) => have(tool));
  for (const peer of [newest, oldest]) {
    const { minor, etcd, etcdctl } = peer;
    const title = `${name}, 3.${minor}`;
    if (minor !== targetMinor && targetMinor !== 7) {
      describe.skip(`${title} (skipped: the target is etcd 3.${targetMinor})`, () => body(peer));
    } else if (peer === oldest && haveNewest && !slow) {
      describe.skip(`${title} (skipped: 3.7 was compared, KVORUM_SLOW=1 does both)`, () =>
        body(peer));
    } else describeWith([etcd, etcdctl, targetTool], title, () => body(peer));
  }
}

/** The reference's session, and the target's. */
export type Sessions = readonly [EtcdctlSession, EtcdctlSession];

/** Runs the step on both; what is said must be the same. */
export async function compareStep(
  peer: Peer,
  sessions: Sessions,
  step: EtcdctlStep,
): Promise<void> {
  const said = await Promise.all([sessions[0].run(step), sessions[1].run(step)]);
  compareTranscripts(peer, step, said);
}

/** The step as a test's name. */
export function nameOf(step: EtcdctlStep): string {
  const input = step.stdin === undefined ? '' : ` <<< ${JSON.stringify(step.stdin)}`;
  return `etcdctl ${step.args.join(' ')}${input}`;
}

/** Fails unless they are equal but for the known differences. */
export function compareTranscripts(
  peer: Peer,
  step: EtcdctlStep,
  said: readonly [string, string],
): void {
  if (process.env.KVORUM_TRANSCRIPT === '1') console.log(said[1]);
  const [expected, actual] =
    peer.minor === targetMinor ? said : reconcile(step.args.join(' '), said[0], said[1]);
  expect(actual).toBe(expected);
}
