/** `kvorum status`, each screen as text, with what differs from run to run under a mask. */

import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { widthOf } from '../../src/ctl/show/index.js';
import {
  startCluster,
  startNode,
  type TestCluster,
  type TestNode,
} from '../../src/testing/index.js';
import { describeWithOpenssl, makeCertificates } from '../e2e/certificates.js';
import { temporaryDirectory } from '../e2e/program.js';
import { eventually } from '../helpers/eventually.js';
import { useServer } from '../helpers/server.js';
import { ctl } from './run-ctl.js';

/** A machine may be busy. */
const patient = ['--member-timeout', '60s'];

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
    ctl(['status', ...patient, '--endpoints', cluster.endpoints.join(','), ...words]);

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
    expect(rows.slice(0, 3)).toEqual(['m1', 'm2', 'm3'].map(row));
    expect(rows.slice(3)).toEqual([
      '',
      'alarms: none',
      'certificates: none, clients come without TLS',
      '',
    ]);
  });

  it('asks one endpoint for all members', async () => {
    const run = await ctl([
      'status',
      ...patient,
      '--endpoints',
      cluster.endpoints[0] ?? '',
      '-w',
      'json',
    ]);
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

describe('kvorum status, where something is silent', () => {
  let node: TestNode;
  let silent: Server;
  let silentAt = '';
  const sockets = new Set<Socket>();
  beforeAll(async () => {
    node = await startNode();
    // As a process that was stopped: its connections are taken, and nothing comes back.
    silent = createServer((socket) => void sockets.add(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    silentAt = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  }, 60_000);
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    silent.close();
    await node.close();
  });

  it('shows the others all the same, whichever comes first', async () => {
    for (const endpoints of [`${silentAt},${node.endpoint}`, `${node.endpoint},${silentAt}`]) {
      const words = ['status', '--endpoints', endpoints, '--member-timeout', '2s'];
      const { code, stdout } = await eventually(async () => {
        const run = await ctl(words);
        return run.code === 0 ? run : undefined;
      }, 'an answer in time');
      // It is no member, so it is none that is missed.
      expect(stdout).toContain('1 of 1 voters answer');
      expect(stdout).toMatch(/^m1 +[0-9a-f]+ +leader /m);
      expect(code).toBe(0);
    }
  });

  it('says what it can if nobody tells who the members are', async () => {
    const { code, stdout } = await ctl([
      'status',
      '--endpoints',
      silentAt,
      '--member-timeout',
      '300ms',
    ]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^cluster \?: does not work: no majority or no leader; 0 of 1 voters/);
    expect(stdout).toContain(`at http://${silentAt} does not answer: no answer\n`);
    expect(stdout).toContain('alarms: not known, nobody told\n');
  });

  it('goes on with --watch until it is interrupted', async () => {
    const interrupted = new AbortController();
    let screens = 0;
    const { code, stdout } = await ctl(
      [
        'status',
        '--watch',
        ...patient,
        '--interval',
        '10ms',
        '--endpoints',
        node.endpoint,
        '-w',
        'json',
      ],
      {
        interrupted: interrupted.signal,
        onStdout() {
          screens += 1;
          if (screens === 3) interrupted.abort();
        },
      },
    );
    expect(code).toBe(0);
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ healthy: true });
  });

  it('leaves out columns where a terminal has no room', async () => {
    const wide = await ctl(['status', ...patient, '--endpoints', node.endpoint], { columns: 300 });
    const narrow = await ctl(['status', ...patient, '--endpoints', node.endpoint], { columns: 60 });
    expect(wide.stdout).toContain('ENDPOINT');
    expect(wide.stdout).toContain('\u001b[32mhealthy\u001b[0m');
    expect(narrow.stdout).not.toContain('ENDPOINT');
    const table = narrow.stdout.split('\n').slice(2, 4);
    for (const line of table) expect(widthOf(line)).toBeLessThanOrEqual(60);
  });
});

describeWithOpenssl('kvorum status by TLS', () => {
  const certificates = makeCertificates(temporaryDirectory());
  const server = useServer('kvorum', () => ({
    clientTls: { ca: certificates.ca, ...certificates.client },
    args: ['--cert-file', certificates.server.cert, '--key-file', certificates.server.key],
  }));

  it('tells when the certificate ends', async () => {
    const words = [...patient, '--endpoints', server().endpoint, '--cacert', certificates.ca];
    const { code, stdout, stderr } = await ctl(['status', ...words]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^certificate of default ends \d{4}-\d\d-\d\d, in \d+ days$/m);
  });

  it('tells of one that is not trusted, with its end', async () => {
    const ca = certificates.otherCa;
    const words = ['--endpoints', server().endpoint, '--cacert', ca, ...patient];
    const { code, stdout } = await ctl(['status', ...words]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/does not answer: the certificate is refused: \w+/);
    expect(stdout).toMatch(/^certificate of .* ends \d{4}-.*; refused here: \w+$/m);
    const diagnosed = await ctl(['diagnose', '--interval', '1ms', ...words]);
    expect(diagnosed.stdout).toContain('warning certificate-refused: ');
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
