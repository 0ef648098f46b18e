/**
 * Members that come, move, are promoted and go, with three of them, as etcdctl 3.7.3 says it: by
 * the script that kvorum's server is compared with.
 */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { comparable } from '../helpers/ctl-compare.js';
import { inProcessOr } from '../helpers/ctl-in-process.js';
import { eventually } from '../helpers/eventually.js';
import { describeWith, toolPath } from '../helpers/tools.js';
import { ShownCluster } from '../interop/etcdctl/cluster.js';
import { nameOf } from '../interop/etcdctl/compare.js';
import { type MemberStep, memberSteps } from '../interop/etcdctl/member-steps.js';

/** Said by one that was added, until it has noted which version its storage has. */
const passing = /, 3\.5\.0, /;

describeWith(['etcd37', 'etcdctl37', 'kvorum'], 'members, as etcdctl has them', () => {
  let clusters: readonly ShownCluster[] = [];

  beforeAll(async () => {
    const etcdctl = toolPath('etcdctl37');
    const ours = inProcessOr(etcdctl);
    const etcd = { program: toolPath('etcd37') };
    const started = await Promise.allSettled([
      ShownCluster.start('etcd', etcdctl, etcd),
      ShownCluster.start('etcd', ours, etcd),
      ShownCluster.start('kvorum', ours, {}),
    ]);
    clusters = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    for (const one of started) if (one.status === 'rejected') throw one.reason;
  });
  afterAll(async () => {
    await Promise.all(clusters.map((cluster) => cluster.dispose()));
  });

  for (const [index, step] of memberSteps.entries()) {
    const name = 'act' in step ? step.name : nameOf(step);
    it(`${index + 1}: ${name}`, () => takeStep(step));
  }

  async function takeStep(step: MemberStep): Promise<void> {
    if ('act' in step) {
      await Promise.all(clusters.map((cluster) => step.act(cluster)));
      return;
    }
    const said = await Promise.all(
      clusters.map(({ session }) =>
        eventually(
          async () => {
            const transcript = await session.run(step);
            const isPassing = passing.test(transcript) || step.while?.test(transcript) === true;
            return isPassing ? undefined : transcript;
          },
          `another answer to ${nameOf(step)}`,
        ),
      ),
    );
    if (said.some((transcript) => step.unless?.test(transcript) === true)) return;
    const [expected, ...ours] = said.map(comparable);
    expect(ours).toEqual(ours.map(() => expected));
  }
});
