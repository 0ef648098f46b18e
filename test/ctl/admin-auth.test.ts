/**
 * `auth`, `user` and `role` against etcdctl 3.7.3, by the script that kvorum's server is compared
 * with: whatever etcdctl says of users, roles and who is refused, we say.
 */

import { beforeAll, describe, it } from 'vitest';
import { compareRuns } from '../helpers/ctl-compare.js';
import { inProcessOr } from '../helpers/ctl-in-process.js';
import { EtcdctlSession } from '../helpers/etcdctl.js';
import { useServer } from '../helpers/server.js';
import { describeWith, toolPath } from '../helpers/tools.js';
import { authScript } from '../interop/etcdctl/auth-steps.js';
import { nameOf } from '../interop/etcdctl/compare.js';

/** Those of the script that are about keys and leases have tests of their own. */
const chapters: ReadonlySet<string> = new Set([
  ...['users', 'roles', 'switching it on', 'signing in', 'maintenance and members'],
  ...['administration', 'switching it off'],
]);

describeWith(['etcd37', 'etcdctl37', 'kvorum'], 'users and roles, as etcdctl has them', () => {
  const cheap = ['--bcrypt-cost', '4'];
  const etcd = () => ({ program: toolPath('etcd37'), args: cheap });
  const reference = useServer('etcd', etcd);
  const other = useServer('etcd', etcd);
  const kvorum = useServer('kvorum', () => ({ args: cheap }));
  let sessions: readonly EtcdctlSession[] = [];

  beforeAll(async () => {
    sessions = await Promise.all([
      EtcdctlSession.open(reference(), toolPath('etcdctl37')),
      EtcdctlSession.open(other(), inProcessOr(toolPath('etcdctl37'))),
      EtcdctlSession.open(kvorum(), inProcessOr(toolPath('etcdctl37'))),
    ]);
  });

  for (const { title, steps } of authScript(false)) {
    if (!chapters.has(title)) continue;
    describe(title, () => {
      for (const [index, step] of steps.entries()) {
        it(`${index + 1}: ${nameOf(step)}`, () => compareRuns(sessions, step));
      }
    });
  }
});
