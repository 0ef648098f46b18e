/**
 * Called etcdctl, kvorum's command line is etcdctl 3.7: the same lines, one after the other, with
 * both programs against servers of the same kind, etcd and kvorum, must print the same, end with
 * the same status and complain in the same words (transcript.ts says what is left out). Ours runs
 * in this process.
 */

import { beforeAll, describe, expect, it } from 'vitest';
import { inProcess } from '../../helpers/ctl-in-process.js';
import { EtcdctlSession } from '../../helpers/etcdctl.js';
import { type ServerKind, useServer } from '../../helpers/server.js';
import { describeWith, toolPath } from '../../helpers/tools.js';
import { nameOf, type Sessions } from '../../interop/etcdctl/compare.js';
import { campaign, contend } from '../../interop/etcdctl/scenes.js';
import { chapters } from './steps.js';
import { comparable } from './transcript.js';

describe.each<ServerKind>(['etcd', 'kvorum'])('against %s', (kind) => {
  describeWith(['etcd37', 'etcdctl37', 'kvorum'], 'ours is etcdctl', () => {
    const options = () => (kind === 'etcd' ? { program: toolPath('etcd37') } : {});
    const theirs = useServer(kind, options);
    const ours = useServer(kind, options);
    let sessions: Sessions;

    beforeAll(async () => {
      const etcdctl = toolPath('etcdctl37');
      sessions = [
        await EtcdctlSession.open(theirs(), etcdctl),
        await EtcdctlSession.open(ours(), inProcess()),
      ];
    });

    for (const { title, steps } of chapters) {
      describe(title, () => {
        for (const [index, step] of steps.entries()) {
          it(`${index + 1}: ${nameOf(step)}`, async () => {
            const [expected, actual] = await Promise.all(sessions.map((one) => one.run(step)));
            expect(comparable(actual as string)).toBe(comparable(expected as string));
          });
        }
      });
    }

    it('a lock is waited for, and passes on when its holder ends', async () => {
      const [expected, actual] = await Promise.all(sessions.map((one) => contend(one)));
      expect(actual).toBe(expected);
    });

    it('an election is seen by a listener, and won by the next', async () => {
      const [expected, actual] = await Promise.all(sessions.map((one) => campaign(one)));
      expect(actual).toBe(expected);
    });
  });
});
