import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { exec } from '../helpers/exec.js';
import { asFailure, bytes, failureOf, RawClient } from '../helpers/grpc.js';
import { freePort, startEtcd } from '../helpers/server.js';
import { describeWith, itWith, repoRoot } from '../helpers/tools.js';
import { createWatch } from '../helpers/watching.js';
import {
  anyPeerPort,
  endProgramsAfterEach,
  type Program,
  run,
  serve,
  temporaryDirectory,
} from './program.js';

endProgramsAfterEach();

const anyPort = 'http://127.0.0.1:0';
const onAnyPort = [
  ...['--listen-client-urls', anyPort, '--advertise-client-urls', anyPort],
  ...anyPeerPort,
];

function flags(...more: readonly string[]): string[] {
  return ['--data-dir', join(temporaryDirectory(), 'data'), ...onAnyPort, ...more];
}

async function withClient<T>(server: Program, use: (client: RawClient) => Promise<T>): Promise<T> {
  const client = new RawClient(server.endpoint());
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

const put = (client: RawClient, key: string, value: string) =>
  client.put({ key: bytes(key), value: bytes(value) });
const get = async (client: RawClient, key: string) =>
  (await client.range({ key: bytes(key) })).kvs[0]?.value.toString();

describeWith(['kvorum'], 'the process', () => {
  describe('start', () => {
    it('founds <name>.etcd in the working directory and tells where it serves', async () => {
      const cwd = temporaryDirectory();
      const server = await serve(['--name', 'n1', ...onAnyPort, ...clusterOf('n1')], { cwd });
      expect(existsSync(join(cwd, 'n1.etcd', 'member'))).toBe(true);
      // Nobody sits there: what is merged with the log must not break it.
      expect(server.stdout).toBe('');
      for (const line of server.stderr.trimEnd().split('\n')) JSON.parse(line);
      const ready = await server.line('ready to serve client requests');
      expect(ready).toMatchObject({
        level: 'info',
        name: 'n1',
        'data-dir': join(cwd, 'n1.etcd'),
        'client-urls': server.clientUrls,
      });
      expect(await server.stop()).toBe('SIGTERM');
    });

    it('serves what an earlier run wrote, also after kill -9', async () => {
      const args = flags();
      const first = await serve(args);
      const before = await withClient(first, async (client) => {
        await put(client, 'a', '1');
        return client.status();
      });
      await first.kill();
      const second = await serve(args);
      await second.line('opened the data directory');
      await withClient(second, async (client) => {
        expect(await get(client, 'a')).toBe('1');
        const { header } = await client.status();
        expect(header?.member_id).toBe(before.header?.member_id);
        expect(header?.cluster_id).toBe(before.header?.cluster_id);
        await put(client, 'a', '2');
      });
      expect(await second.stop()).toBe('SIGTERM');
      const third = await serve(args);
      expect(await withClient(third, (client) => get(client, 'a'))).toBe('2');
    });

    it('refuses a data directory that another process has', async () => {
      const args = flags();
      await serve(args);
      const second = run(args);
      expect(await second.ended).toBe(1);
      const plain = second.stderr.split('\n').filter((line) => line.startsWith('kvorum: '));
      expect(plain).toHaveLength(1);
      expect(plain[0]).toMatch(/lock|another|use/i);
    });

    it('says in one line that the port is in use, and exits with 1', async () => {
      const port = await freePort();
      const other = createServer();
      await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', () => resolve()));
      try {
        const url = `http://127.0.0.1:${port}`;
        const where = ['--listen-client-urls', url, '--advertise-client-urls', url, ...anyPeerPort];
        const server = run(['--data-dir', join(temporaryDirectory(), 'data'), ...where]);
        expect(await server.ended).toBe(1);
        expect(server.stdout).toBe('');
        const plain = server.stderr.split('\n').filter((line) => !line.startsWith('{'));
        expect(plain).toEqual([expect.stringMatching(/^kvorum: .*EADDRINUSE.*another etcd/), '']);
        expect(plain[0]).toContain(String(port));
      } finally {
        other.close();
      }
    });

    it('exits with 1 where the data directory can not be made', async () => {
      const file = join(temporaryDirectory(), 'file');
      writeFileSync(file, '');
      const server = run(['--data-dir', join(file, 'data'), ...onAnyPort]);
      expect(await server.ended).toBe(1);
      expect(server.stderr).toMatch(/^kvorum: [^\n]*ENOTDIR[^\n]*$/m);
    });

    itWith(['python3'], 'tells systemd when it serves', {}, async () => {
      const path = join(temporaryDirectory(), 'notify');
      const listener = spawn('python3', ['-u', '-c', datagramListener, path]);
      try {
        let told = '';
        listener.stdout.setEncoding('utf8').on('data', (text: string) => {
          told += text;
        });
        await eventually(() => (existsSync(path) ? true : undefined), 'the notify socket');
        const server = await serve(flags(), { env: { NOTIFY_SOCKET: path } });
        await eventually(() => told.includes('READY=1') || undefined, 'READY=1');
        expect(await server.stop()).toBe('SIGTERM');
        await eventually(() => told.includes('STOPPING=1') || undefined, 'STOPPING=1');
      } finally {
        listener.kill('SIGKILL');
      }
    });
  });

  describe('flags', () => {
    it('prints version and help, and exits with 0', async () => {
      const version = run(['--version']);
      expect(await version.ended).toBe(0);
      expect(version.stdout.split('\n')[0]).toBe('etcd Version: 3.7.3');
      const help = run(['--help']);
      expect(await help.ended).toBe(0);
      for (const flag of ['--name', '--listen-client-urls', '--auto-compaction-mode']) {
        expect(help.stdout).toContain(flag);
      }
    });

    it.each([
      [['--nonsense'], 2, /flag provided but not defined: "--nonsense"/],
      [['--heartbeat-interval=soon'], 2, /--heartbeat-interval/],
      [['--election-timeout=200'], 2, /election-timeout/],
      [['--listen-metrics-urls=ftp://127.0.0.1:1'], 2, /must be http, https, unix, or unixs/],
      [['--listen-client-urls=http://127.0.0.1:0'], 2, /--advertise-client-urls is required/],
      [['--config-file=/nonexistent/file'], 2, /nonexistent/],
      [['--log-level=loud'], 2, /log-level/],
      [['stray'], 1, /"stray" is not a valid flag/],
    ])('refuses %j with one line', async (args, code, text) => {
      const program = run(args, { cwd: temporaryDirectory() });
      const ended = await program.ended;
      expect(program.stderr).toMatch(/^kvorum: [^\n]+\n$/);
      expect(program.stderr).toMatch(text);
      expect(program.stdout).toBe('');
      expect(ended).toBe(code);
    });

    it('can be given as ETCD_ variables, but not twice', async () => {
      const dataDir = join(temporaryDirectory(), 'data');
      const env = {
        ETCD_NAME: 'by-env',
        ETCD_DATA_DIR: dataDir,
        ETCD_LISTEN_CLIENT_URLS: anyPort,
        ETCD_ADVERTISE_CLIENT_URLS: 'http://10.0.0.1:2379',
        ETCD_LISTEN_PEER_URLS: anyPort,
        ETCD_INITIAL_CLUSTER: 'by-env=http://localhost:2380',
      };
      const server = await serve([], { env });
      const members = await withClient(server, (client) => client.memberList());
      expect(members.members).toMatchObject([
        { name: 'by-env', clientURLs: ['http://10.0.0.1:2379'] },
      ]);
      const twice = run(['--name', 'by-flag'], { env });
      expect(await twice.ended).not.toBe(0);
      expect(twice.stderr).toContain('ETCD_NAME');
    });

    it('can be given in a --config-file', async () => {
      const dir = temporaryDirectory();
      const path = join(dir, 'kvorum.yaml');
      const lines = [
        'name: by-file',
        `data-dir: ${join(dir, 'data')}`,
        `listen-client-urls: ${anyPort}`,
        `listen-peer-urls: ${anyPort}`,
        'advertise-client-urls: http://10.0.0.2:2379',
        'initial-cluster: by-file=http://localhost:2380',
        'max-txn-ops: 2',
      ];
      writeFileSync(path, `${lines.join('\n')}\n`);
      const server = await serve(['--config-file', path]);
      await withClient(server, async (client) => {
        expect((await client.memberList()).members[0]?.name).toBe('by-file');
        const op = { request_put: { key: bytes('k'), value: bytes('v') } };
        const failure = await failureOf(client.txn({ success: [op, op, op] }));
        expect(failure.text).toContain('too many operations');
      });
    });

    it('--log-level and --log-outputs decide what is written where', async () => {
      const file = join(temporaryDirectory(), 'log');
      const server = run(flags('--log-outputs', file, '--log-level', 'WARN', '--max-wals', '9'));
      await eventually(
        () => (existsSync(file) && readFileSync(file, 'utf8').includes('max-wals')) || undefined,
        'a warning in the file',
      );
      expect(await server.stop()).toBe('SIGTERM');
      expect(server.stderr).toBe('');
      expect(readFileSync(file, 'utf8')).not.toContain('"level":"info"');
    });
  });

  describe('identity', () => {
    it('has the ids of etcd for the default cluster', async () => {
      const server = await serve(flags());
      const { header } = await withClient(server, (client) => client.status());
      expect(BigInt(header?.member_id ?? 0).toString(16)).toBe('8e9e05c52164694d');
      expect(BigInt(header?.cluster_id ?? 0).toString(16)).toBe('cdf818194e3a8c32');
    });

    itWith(['etcd'], 'derives ids from cluster and token as etcd does', {}, async () => {
      const peer = `http://127.0.0.1:${await freePort()}`;
      const args = [
        ...['--name', 'n1', '--initial-cluster-token', 'tok'],
        ...['--initial-cluster', `n1=${peer}`, '--initial-advertise-peer-urls', peer],
      ];
      const etcd = await startEtcd({ args: [...args, '--listen-peer-urls', peer] });
      const client = new RawClient(etcd);
      const expected = (await client.status()).header;
      client.close();
      await etcd.dispose();
      const server = await serve(flags(...args));
      const { header } = await withClient(server, (own) => own.status());
      expect(header?.member_id).toBe(expected?.member_id);
      expect(header?.cluster_id).toBe(expected?.cluster_id);
    });
  });

  describe('stop', () => {
    it.each(['SIGINT', 'SIGTERM'] as const)('ends at %s with streams open', async (signal) => {
      const args = flags();
      const server = await serve(args);
      const client = new RawClient(server.endpoint());
      await put(client, 'a', '1');
      const watching = client.watch();
      await createWatch(watching, { key: bytes('a') });
      const { ID } = await client.leaseGrant({ TTL: '60', ID: '0' });
      const keeping = client.keepAlive();
      keeping.send({ ID });
      await keeping.reader.next();
      const ends = [watching.reader.next(), keeping.reader.next()].map((next) =>
        next.then(
          () => 'a message',
          (error: unknown) => asFailure(error).code,
        ),
      );
      server.signal(signal);
      expect(await server.ended).toBe(signal);
      expect(await Promise.all(ends)).toEqual([14, 14]);
      client.close();
      expect(server.log.map(({ msg }) => msg)).toContain('stopped');
      expect(server.log.filter(({ level }) => level === 'error')).toEqual([]);
      const again = await serve(args);
      await withClient(again, async (other) => {
        expect(await get(other, 'a')).toBe('1');
        const leases = await other.leaseLeases();
        expect(leases.leases).toMatchObject([{ ID }]);
      });
    });

    it('ends although connections are idle, half open, or in the middle of a request', async () => {
      const server = await serve(flags());
      const port = Number(new URL(server.clientUrls[0] ?? '').port);
      const sockets = ['', 'PRI * HT', 'GET /health HTTP/1.1\r\nHo', 'POST /v3/kv'].map((text) => {
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => {});
        socket.write(text);
        return socket;
      });
      await Promise.all(
        sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))),
      );
      server.signal('SIGINT');
      expect(await server.ended).toBe('SIGINT');
    });
  });

  it('compacts by itself with --auto-compaction-retention', async () => {
    const policy = ['--auto-compaction-mode', 'periodic', '--auto-compaction-retention', '1s'];
    const server = await serve(flags(...policy));
    await withClient(server, async (client) => {
      for (let i = 0; i < 20; i++) await put(client, 'a', String(i));
      const failure = await eventually(async () => {
        const old = client.range({ key: bytes('a'), revision: 3 });
        return old.then(
          () => undefined,
          (error: unknown) => asFailure(error),
        );
      }, 'the compaction');
      expect(failure).toEqual({
        code: 11,
        text: 'etcdserver: mvcc: required revision has been compacted',
      });
      expect(await get(client, 'a')).toBe('19');
    });
  });

  it('runs by scripts/run.mjs start, as npm start does', async () => {
    const dataDir = join(temporaryDirectory(), 'data');
    const script = join(repoRoot, 'scripts/run.mjs');
    const args = [script, 'start', ...onAnyPort, '--data-dir', dataDir];
    const done = await exec(process.execPath, args, {
      until: (_stdout, stderr) => stderr.includes('ready to serve'),
      timeoutMs: 60_000,
    });
    expect(done.stderr).toContain('ready to serve client requests');
    expect(existsSync(join(dataDir, 'member'))).toBe(true);
  });
});

function clusterOf(name: string): string[] {
  return ['--initial-cluster', `${name}=http://localhost:2380`];
}

const datagramListener = [
  'import socket,sys',
  's=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)',
  's.bind(sys.argv[1])',
  'while True: print(s.recv(4096).decode())',
].join('\n');
