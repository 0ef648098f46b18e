/**
 * Debian's etcdctl must not be able to tell kvorum from Debian's etcd-server: one script of
 * commands runs on both, and what etcdctl prints, its errors and its exit codes must be the same
 * line by line, apart from ids, times, sizes and versions (see helpers/mask.ts) and the few rows
 * of etcdctl/differences.ts.
 *
 * With KVORUM_TEST_TARGET=etcd two etcds are compared: that shows that the masks hide enough.
 * KVORUM_TRANSCRIPT=1 prints what the target said.
 */

import { beforeAll, describe, expect, it } from 'vitest';
import { EtcdctlSession } from '../helpers/etcdctl.js';
import { useServer, useTarget } from '../helpers/server.js';
import { targetTool } from '../helpers/target.js';
import { describeWith, slow } from '../helpers/tools.js';
import { alarmSteps } from './etcdctl/alarm-steps.js';
import { compareStep, nameOf, type Sessions } from './etcdctl/compare.js';
import { campaign, contend, hashes, raiseNoSpace, saveSnapshot } from './etcdctl/scenes.js';
import { script } from './etcdctl/steps.js';

describeWith(['etcd', 'etcdctl', targetTool], 'etcdctl sees no difference', () => {
  const reference = useServer('etcd');
  const target = useTarget();
  let sessions: Sessions;

  beforeAll(async () => {
    sessions = [await EtcdctlSession.open(reference()), await EtcdctlSession.open(target())];
  });

  for (const chapter of script) {
    describe(chapter.title, () => {
      for (const [index, step] of chapter.steps.entries()) {
        it(`${index + 1}: ${nameOf(step)}`, ({ skip }) => compareStep(sessions, step, skip));
      }
    });
  }

  it('a lock is waited for, and passes on when its holder ends', async () => {
    const said = await Promise.all(sessions.map((session) => contend(session)));
    expect(said[1]).toBe(said[0]);
  });

  it('an election is seen by a listener, and won by the next when the leader resigns', async () => {
    const said = await Promise.all(sessions.map((session) => campaign(session)));
    expect(said[1]).toBe(said[0]);
  });

  it('snapshot save writes a file that ends in the digest of the rest', async () => {
    const said = await Promise.all(sessions.map((session) => saveSnapshot(session)));
    expect(said[1]).toBe(said[0]);
  });

  it('endpoint hashkv is stable without writes, and differs after one', async () => {
    const answers = await Promise.all(sessions.map((session) => hashes(session)));
    for (const [first, again, changed] of answers) {
      expect(again).toBe(first);
      expect(changed).not.toBe(first);
    }
  });

  describe('with the NOSPACE alarm raised', () => {
    beforeAll(async () => {
      for (const session of sessions) await raiseNoSpace(session);
    });
    for (const [index, step] of alarmSteps.entries()) {
      it(`${index + 1}: ${nameOf(step)}`, ({ skip }) => compareStep(sessions, step, skip));
    }
  });
});

describeWith(['etcdctl', targetTool], 'etcdctl check perf', () => {
  const target = useTarget();

  it.skipIf(!slow)(
    `passes at the small load${slow ? '' : ' (skipped: takes a minute, KVORUM_SLOW=1 runs it)'}`,
    { timeout: 180_000 },
    async () => {
      const session = await EtcdctlSession.open(target());
      const done = await session.exec(['check', 'perf', '--load=s'], { timeoutMs: 170_000 });
      const said = done.stdout.toString('utf8') + done.stderr;
      expect(said).toContain('PASS: Throughput is');
      expect(said).toMatch(/\nPASS\n*$/);
      expect(done.code).toBe(0);
    },
  );
});
