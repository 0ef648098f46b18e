/**
 * etcdctl must not be able to tell kvorum from the etcd of its own version: one script of commands
 * runs on both, and what etcdctl prints, its errors and its exit codes must be the same
 * line by line, apart from ids, times, sizes and versions (see helpers/mask.ts) and the few rows
 * of etcdctl/differences.ts.
 *
 * With KVORUM_TEST_TARGET=etcd two etcds are compared: that shows that the masks hide enough.
 * KVORUM_TRANSCRIPT=1 prints what the target said.
 */

import { beforeAll, expect, it } from 'vitest';
import { EtcdctlSession } from '../helpers/etcdctl.js';
import { useServer, useTarget } from '../helpers/server.js';
import { targetTool } from '../helpers/target.js';
import { describeWith, slow, toolPath } from '../helpers/tools.js';
import { describePeers, type Sessions } from './etcdctl/compare.js';
import { describeScript } from './etcdctl/suite.js';

describePeers('etcdctl sees no difference', (peer) => {
  const reference = useServer('etcd', () => ({ program: toolPath(peer.etcd) }));
  const target = useTarget();
  let sessions: Sessions;

  beforeAll(async () => {
    const etcdctl = toolPath(peer.etcdctl);
    sessions = [
      await EtcdctlSession.open(reference(), etcdctl),
      await EtcdctlSession.open(target(), etcdctl),
    ];
  });

  describeScript(peer, () => sessions);
});

describeWith(['etcdctl', targetTool], 'etcdctl check perf', () => {
  const target = useTarget();

  it.skipIf(!slow)(
    `runs to its end at the small load${slow ? '' : ' (skipped: takes a minute, KVORUM_SLOW=1 runs it)'}`,
    { timeout: 180_000 },
    async () => {
      const session = await EtcdctlSession.open(target());
      const done = await session.exec(['check', 'perf', '--load=s'], { timeoutMs: 170_000 });
      // How fast it was depends on what else the machine does; that all was answered does not.
      const said = done.stdout.toString('utf8');
      expect(said).toMatch(/Throughput (is|too low: )/);
      expect(said).toMatch(/\n(PASS|FAIL)\n$/);
      expect(said).not.toMatch(/too many errors|ERROR|Cleanup failed/);
    },
  );
});
