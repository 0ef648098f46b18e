/**
 * The commands about members and their storage against etcdctl 3.7.3, by the scripts that kvorum's
 * server is compared with, and by what these leave out: the formats, and what each is refused for.
 */

import { beforeAll, describe, it } from 'vitest';
import { compareRuns } from '../helpers/ctl-compare.js';
import { inProcessOr } from '../helpers/ctl-in-process.js';
import { EtcdctlSession, type EtcdctlStep } from '../helpers/etcdctl.js';
import { eventually } from '../helpers/eventually.js';
import { useServer } from '../helpers/server.js';
import { describeWith, toolPath } from '../helpers/tools.js';
import { alarmSteps } from '../interop/etcdctl/alarm-steps.js';
import { nameOf } from '../interop/etcdctl/compare.js';
import { endpointSteps } from '../interop/etcdctl/maintenance-steps.js';
import { raiseNoSpace } from '../interop/etcdctl/scenes.js';
import { step } from '../interop/etcdctl/step.js';

/** Widths of columns follow what stands in them. */
const tableCells = {
  decode: (stdout: Buffer) =>
    stdout
      .toString('utf8')
      .replace(/─+/g, '─')
      .replace(/ {2,}/g, ' ')
      .replace(/\d+(\.\d+)?(ms|µs|s)\b/g, '<duration>')
      .replace(/\b\d+(\.\d+)? [kM]?B\b/g, '<size>')
      .replace(/\d+%/g, '<share>')
      .replace(/│ \d+ │ \d+ │ \d+ │/g, '│ <term> │ <index> │ <index> │'),
};
/** The hash is the server's own. */
const maskedHash = {
  decode: (stdout: Buffer) => tableCells.decode(stdout).replace(/│ \d{6,} │/g, '│ <hash> │'),
};
const asHex = (stdout: Buffer) => stdout.toString('hex').replace(/[\s\S]*/, '<bytes>');

const formatSteps: readonly EtcdctlStep[] = [
  step('member list -w table', tableCells),
  step('member list --hex'),
  step('member list --hex -w json'),
  step('member list --hex -w fields'),
  step('member list --consistency=s'),
  step('member list --consistency=x'),
  step('member list -w protobuf', { decode: asHex }),
  step('member list -w nonsense'),
  step('member add x --peer-urls=http://127.0.0.1:1 -w nonsense'),
  step('member add x http://127.0.0.1:1'),
  step('member add x HTTP://a y'),
  step('member add x --peer-urls=:'),
  step('member add x --peer-urls=127.0.0.1:2380'),
  step('member add x --peer-urls=localhost:2380'),
  step('member add x --peer-urls=http://127.0.0.1'),
  step('member add x --peer-urls=http://127.0.0.1:x'),
  step('member add x --peer-urls=http://127.0.0.1:1/'),
  step('member add x --peer-urls=http://127.0.0.1:1,ftp://127.0.0.1:1'),
  step('member update 1234 --peer-urls=http://[::1:1'),
  { args: ['member', 'update', '1234', '--peer-urls', 'http://a b:1'] },
  step('member remove 1234 5678'),
  step('member remove 0x12'),
  step('member remove 11112222333344445'),
  step('member update 1234'),
  step('member update xyz --peer-urls=http://127.0.0.1:1'),
  step('member promote'),
  step('member list --nonsense'),
  step('endpoint health -w table', tableCells),
  step('endpoint health -w protobuf'),
  step('endpoint status -w table', tableCells),
  step('endpoint status --hex -w fields'),
  step('endpoint status -w protobuf'),
  step('endpoint hashkv -w table', maskedHash),
  step('endpoint hashkv -w protobuf'),
  step('endpoint hashkv --cluster --rev=1'),
  step('endpoint hashkv --rev=x'),
  step('endpoint status --endpoints <endpoint>,<endpoint>'),
  step('alarm list -w fields'),
  step('alarm list -w table'),
  step('alarm list -w protobuf', { decode: asHex }),
  step('alarm disarm -w json'),
  step('alarm disarm -w fields'),
  step('alarm disarm extra'),
  step('auth status -w table'),
  step('move-leader 1 2'),
  step('move-leader'),
  step('downgrade validate'),
  step('downgrade validate 3.6 extra'),
  { args: ['downgrade', 'validate', ''] },
  step('downgrade validate nonsense'),
  step('downgrade validate 3.2'),
  step('downgrade validate 3.6'),
  step('downgrade validate 3.6 -w json'),
  step('downgrade validate 3.6 -w fields'),
  step('downgrade validate 3.6 -w table'),
  step('downgrade cancel'),
  step('downgrade enable'),
  step('user list -w fields'),
  step('user list -w table'),
  step('user get absent -w table'),
  step('role get absent -w fields'),
  step('user get'),
  step('role revoke-permission'),
];

/** An endpoint where nobody listens, alone and beside one that answers. */
const short = '--dial-timeout=500ms --command-timeout=1s';
const deadSteps: readonly EtcdctlStep[] = [
  step(`endpoint health ${short} --endpoints <endpoint>,127.0.0.1:1`, { unordered: true }),
  step(`endpoint status ${short} --endpoints <endpoint>,127.0.0.1:1`),
  step(`endpoint hashkv ${short} --endpoints 127.0.0.1:1`),
  step(`endpoint status ${short} --endpoints 127.0.0.1:1 -w json`),
  step(`endpoint status ${short} --cluster --endpoints 127.0.0.1:1`),
  step(`defrag ${short} --endpoints 127.0.0.1:1`),
  step(`member list ${short} --endpoints 127.0.0.1:1`),
  step(`move-leader 1234 ${short} --endpoints 127.0.0.1:1`),
  step(`auth status ${short} --endpoints 127.0.0.1:1`),
  step(`alarm list ${short} --endpoints 127.0.0.1:1 --user a:b`),
];

/** While it is under way: see below. */
const downgradeSteps: readonly EtcdctlStep[] = [
  step('downgrade enable 3.6'),
  step('downgrade validate 3.6'),
  step('endpoint status -w json'),
  step('endpoint status -w fields'),
  step('downgrade cancel'),
];

describeWith(['etcd37', 'etcdctl37', 'kvorum'], 'members and storage, as etcdctl has them', () => {
  const etcd = () => ({ program: toolPath('etcd37') });
  const reference = useServer('etcd', etcd);
  const other = useServer('etcd', etcd);
  const kvorum = useServer('kvorum');
  let sessions: readonly EtcdctlSession[] = [];

  beforeAll(async () => {
    const etcdctl = toolPath('etcdctl37');
    sessions = await Promise.all([
      EtcdctlSession.open(reference(), etcdctl),
      EtcdctlSession.open(other(), inProcessOr(etcdctl)),
      EtcdctlSession.open(kvorum(), inProcessOr(etcdctl)),
    ]);
    for (const session of sessions) session.introduce('endpoint', session.server.endpoint);
  });

  const describeSteps = (title: string, steps: readonly EtcdctlStep[]) => {
    describe(title, () => {
      for (const [index, one] of steps.entries()) {
        it(`${index + 1}: ${nameOf(one)}`, () => compareRuns(sessions, one));
      }
    });
  };

  describeSteps('one member', endpointSteps);
  describeSteps('formats and refusals', formatSteps);

  describeSteps('where nobody listens', deadSteps);

  describe('with the NOSPACE alarm raised', () => {
    beforeAll(async () => {
      for (const session of sessions) await raiseNoSpace(session);
    });
    describeSteps('everything', alarmSteps);
  });

  describe('one minor version back', () => {
    it('etcdctl downgrade enable 3.6, and each notes it in its own time', async () => {
      await compareRuns(sessions, step('downgrade enable 3.6'));
      await eventually(async () => {
        const said = await Promise.all(
          sessions.map((session) => session.exec(['endpoint', 'status', '-w', 'json'])),
        );
        const all = said.every(({ stdout }) => stdout.includes('"storageVersion":"3.6.0"'));
        return all ? true : undefined;
      }, 'all storages are of 3.6');
    });
    describeSteps('under way', downgradeSteps);
  });
});
