/** The whole script, told to two servers (or clusters) at once: what both must say alike. */

import { beforeAll, describe, expect, it } from 'vitest';
import type { EtcdctlStep } from '../../helpers/etcdctl.js';
import { alarmSteps } from './alarm-steps.js';
import { compareStep, nameOf, type Peer, type Sessions } from './compare.js';
import { campaign, contend, hashes, raiseNoSpace, saveSnapshot } from './scenes.js';
import { script } from './steps.js';

/** To be called inside of a `describe`; `sessions` is asked when the tests run. */
export function describeScript(peer: Peer, sessions: () => Sessions, prefix = ''): void {
  const describeSteps = (
    title: string,
    steps: readonly EtcdctlStep[],
    before?: () => Promise<void>,
  ) => {
    describe(title, () => {
      if (before !== undefined) beforeAll(before);
      for (const [index, step] of steps.entries()) {
        it(`${index + 1}: ${nameOf(step)}`, () => compareStep(peer, sessions(), step));
      }
    });
  };

  for (const { title, steps } of script) describeSteps(`${prefix}${title}`, steps);

  it('a lock is waited for, and passes on when its holder ends', async () => {
    const said = await Promise.all(sessions().map((session) => contend(session)));
    expect(said[1]).toBe(said[0]);
  });

  it('an election is seen by a listener, and won by the next when the leader resigns', async () => {
    const said = await Promise.all(sessions().map((session) => campaign(session)));
    expect(said[1]).toBe(said[0]);
  });

  it('snapshot save writes a file that ends in the digest of the rest', async () => {
    const said = await Promise.all(sessions().map((session) => saveSnapshot(session)));
    expect(said[1]).toBe(said[0]);
  });

  it('endpoint hashkv is stable without writes, and differs after one', async () => {
    const answers = await Promise.all(sessions().map((session) => hashes(session)));
    for (const [first, again, changed] of answers) {
      expect(again).toBe(first);
      expect(changed).not.toBe(first);
    }
  });

  describeSteps('with the NOSPACE alarm raised', alarmSteps, async () => {
    for (const session of sessions()) await raiseNoSpace(session);
  });
}
