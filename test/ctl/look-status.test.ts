/** `kvorum status`, each screen as text, with what differs from run to run under a mask. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCluster, type TestCluster } from '../../src/testing/index.js';
import { eventually } from '../helpers/eventually.js';
import { ctl } from './run-ctl.js';

/** Numbers, ids and ports; spaces that only keep columns. */
function masked(text: string): string {
  return text
    .replaceAll(/127\.0\.0\.1:\d+/g, 'HOST')
    .replaceAll(/\b[0-9a-f]{12,16}\b/g, 'ID')
    .replaceAll(/\b\d+\.\d+\.\d+\b/g, 'VERSION')
    .replaceAll(/\b[\d.]+ (B|KiB|MiB|GiB)/g, 'SIZE')
    .replaceAll(/\b[\d.]+ %/g, 'SHARE')
    .replaceAll(/\b\d[\d,]*\b/g, 'N')
    .replaceAll(/ +/g, ' ');
}

describe('kvorum status', () => {
  let cluster: TestCluster;
  const status = (...words: string[]) =>
    ctl(['status', '--endpoints', cluster.endpoints.join(','), ...words]);

  beforeAll(async () => {
    cluster = await startCluster({ size: 3 });
  }, 60_000);
  afterAll(() => cluster.stop());

  it('shows three members that are well, and ends with 0', async () => {
    const leader = await cluster.leader();
    const { code, stdout, stderr } = await eventually(async () => {
      const run = await status();
      return run.code === 0 ? run : undefined;
    }, 'all is well');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const [head, , title, ...rows] = masked(stdout).split('\n');
    expect(head).toBe(
      `cluster ID: healthy; N of N voters answer, N needed; leader ${leader.name}; revision N`,
    );
    expect(title).toBe(
      'NAME ID ROLE VERSION TERM INDEX LAG APPLIED DB IN USE OF QUOTA KEYS WATCHERS CLOCK ENDPOINT',
    );
    const row = (name: string) =>
      `${name} ID ${name === leader.name ? 'leader' : 'follower'} VERSION N N N N SIZE SIZE ` +
      'SHARE of SIZE N N ok http://HOST';
    expect(rows.slice(0, 3).sort()).toEqual(['m1', 'm2', 'm3'].map(row));
    expect(rows.slice(3)).toEqual([
      '',
      'alarms: none',
      'certificates: none, clients come without TLS',
      '',
    ]);
  });

  it('asks one endpoint for all members', async () => {
    const run = await ctl(['status', '--endpoints', cluster.endpoints[0] ?? '', '-w', 'json']);
    const told = JSON.parse(run.stdout);
    expect(told.members.map(({ answers }: { answers: boolean }) => answers)).toEqual([
      true,
      true,
      true,
    ]);
    expect(told).toMatchObject({ healthy: true, alarms: [], authEnabled: false });
    expect(told.members[0]).toMatchObject({ keys: 0, lag: expect.any(Number) });
    expect(told.leader).toMatch(/^[0-9a-f]+$/);
  });

  it('refuses forms that only etcdctl has', async () => {
    const run = await status('-w', 'fields');
    expect(run).toEqual({
      code: 128,
      stdout: '',
      stderr: 'Error: status prints simple or json, not fields\n',
    });
  });

  it('shows a member that is down and one with an alarm, and ends with 1', async () => {
    const leader = await cluster.leader();
    const down = cluster.members.find((member) => member !== leader);
    const alarmed = cluster.members.find((member) => member !== leader && member !== down);
    if (down === undefined || alarmed === undefined) throw new Error('three members');
    await raiseNoSpace(leader.endpoint, alarmed.id ?? 0n);
    await down.stop();
    const { code, stdout } = await eventually(async () => {
      const run = await status();
      return /alarms: NOSPACE/.test(run.stdout) ? run : undefined;
    }, 'the alarm is told');
    expect(code).toBe(1);
    const lines = masked(stdout).split('\n');
    expect(lines[0]).toBe(
      'cluster ID: works, but not all is well; N of N voters answer, N needed; ' +
        `leader ${leader.name}; revision N`,
    );
    expect(lines).toContain(`alarms: NOSPACE at ${alarmed.name}`);
    // It closed its connections: which of these one sees is chance.
    const silent = lines.find((line) => line.startsWith(`${down.name} (ID) at http://HOST`));
    expect(silent).toMatch(/does not answer: \S/);
    await down.start();
  });
});

async function raiseNoSpace(endpoint: string, memberId: bigint): Promise<void> {
  const { RawClient, method } = await import('../../src/client/raw/index.js');
  const { AlarmAction, AlarmType, alarmRequest } = await import('../../src/proto/index.js');
  const client = new RawClient({ endpoints: endpoint });
  const request = { action: AlarmAction.ACTIVATE, memberId, alarm: AlarmType.NOSPACE };
  await client.call(method.alarm, 'write', alarmRequest.encode(request));
  await client.close();
}
