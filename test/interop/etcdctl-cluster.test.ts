/**
 * As etcdctl-compare.test.ts, with three members of each: the same script through a follower, and
 * the commands that only make sense with several members. Each step must print the same on both.
 *
 * KVORUM_TEST_TARGET=etcd compares two clusters of etcd.
 */

import { afterAll, beforeAll, describe, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { targetKind } from '../helpers/target.js';
import { toolPath } from '../helpers/tools.js';
import { ShownCluster } from './etcdctl/cluster.js';
import { compareTranscripts, describePeers, nameOf, type Sessions } from './etcdctl/compare.js';
import { type MemberStep, memberSteps } from './etcdctl/member-steps.js';
import { describeScript } from './etcdctl/suite.js';

describePeers('etcdctl and clusters of three', (peer) => {
  let clusters: readonly ShownCluster[] = [];
  let sessions: Sessions;

  beforeAll(async () => {
    const etcdctl = toolPath(peer.etcdctl);
    const program = toolPath(peer.etcd);
    const reference = await ShownCluster.start('etcd', etcdctl, { program });
    clusters = [reference];
    const target = await ShownCluster.start(targetKind, etcdctl, {});
    clusters = [reference, target];
    sessions = [reference.session, target.session];
  });
  afterAll(async () => {
    await Promise.all(clusters.map((cluster) => cluster.dispose()));
  });

  describeScript(peer, () => sessions, 'through a follower: ');

  describe('members', () => {
    for (const [index, step] of memberSteps.entries()) {
      const name = 'act' in step ? step.name : nameOf(step);
      it(`${index + 1}: ${name}`, () => takeStep(step));
    }
  });

  async function takeStep(step: MemberStep): Promise<void> {
    if ('act' in step) {
      await Promise.all(clusters.map((cluster) => step.act(cluster)));
      return;
    }
    const again = step.while;
    const [first, second] = await Promise.all(
      sessions.map((session) =>
        eventually(
          async () => {
            const said = await session.run(step);
            return again?.test(said) === true ? undefined : said;
          },
          `another answer to ${nameOf(step)}`,
        ),
      ),
    );
    const said = [first ?? '', second ?? ''] as const;
    if (said.some((transcript) => step.unless?.test(transcript) === true)) return;
    compareTranscripts(peer, step, said);
  }
});
