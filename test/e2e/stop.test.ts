/** What is stopped ends: the process at any moment, and programs with a server inside. */

import { type ChildProcess, spawn } from 'node:child_process';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { freePort } from '../helpers/server.js';
import { describeWith, repoRoot } from '../helpers/tools.js';
import { endProgramsAfterEach, run, serve, temporaryDirectory } from './program.js';

endProgramsAfterEach();

const anyPort = 'http://127.0.0.1:0';
const onAnyPort = [
  ...['--listen-client-urls', anyPort, '--advertise-client-urls', anyPort],
  ...['--listen-peer-urls', anyPort],
];

/** Flags of the first of three members, of which the others are not there. */
async function alone(): Promise<string[]> {
  const peer = async () => `http://127.0.0.1:${await freePort()}`;
  const [own, second, third] = [await peer(), await peer(), await peer()];
  return [
    ...['--name', 'a', '--data-dir', join(temporaryDirectory(), 'data')],
    ...['--listen-client-urls', anyPort, '--advertise-client-urls', anyPort],
    ...['--listen-peer-urls', own, '--initial-advertise-peer-urls', own],
    ...['--initial-cluster', `a=${own},b=${second},c=${third}`],
  ];
}

describeWith(['kvorum'], 'a signal while the process starts', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'ends it: %s, before there is a quorum',
    async (signal) => {
      const program = run(await alone());
      // Founded, and waiting for the others.
      await program.line('founded a new data directory');
      program.signal(signal);
      expect(await program.ended).toBe(signal);
      expect(program.log.map(({ msg }) => msg)).toContain('stopped');
      expect(program.stdout).toBe('');
    },
  );

  it('ends it while it asks whom to join', async () => {
    const asked: Socket[] = [];
    let onAsked = (): void => {};
    const isAsked = new Promise<void>((resolve) => {
      onAsked = resolve;
    });
    // It takes the question and never answers.
    const silent = createServer((socket) => {
      asked.push(socket.on('error', () => {}));
      socket.once('data', onAsked);
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const own = `http://127.0.0.1:${await freePort()}`;
    const program = run([
      ...['--name', 'a', '--data-dir', join(temporaryDirectory(), 'data')],
      ...['--listen-client-urls', anyPort, '--advertise-client-urls', anyPort],
      ...['--listen-peer-urls', own, '--initial-advertise-peer-urls', own],
      ...['--initial-cluster', `a=${own},b=http://127.0.0.1:${port}`],
      ...['--initial-cluster-state', 'existing'],
    ]);
    try {
      await isAsked;
      program.signal('SIGTERM');
      expect(await program.ended).toBe('SIGTERM');
      expect(program.log.map(({ msg }) => msg).slice(-2)).toEqual(['stopping', 'stopped']);
    } finally {
      for (const socket of asked) socket.destroy();
      silent.close();
    }
  });

  it('ends it at any time, and the data directory starts afterwards', async () => {
    const args = ['--data-dir', join(temporaryDirectory(), 'data'), ...onAnyPort];
    const first = await serve(args);
    const tookMs = Number((await first.line('ready to serve client requests'))['took-ms']);
    const client = new RawClient(first.endpoint());
    for (let i = 0; i < 50; i++) await client.put({ key: bytes(`k${i}`), value: bytes('v') });
    client.close();
    await first.kill();
    const tries = 12;
    for (let i = 0; i < tries; i++) {
      const program = run(args);
      // The program itself takes as long again as the server in it.
      await sleep((i / tries) * 4 * tookMs);
      program.signal(i % 2 === 0 ? 'SIGTERM' : 'SIGINT');
      expect(await program.ended).toBe(i % 2 === 0 ? 'SIGTERM' : 'SIGINT');
      const lines = program.stderr
        .split('\n')
        .filter((line) => /"level":"(error|fatal)"/.test(line));
      expect(lines).toEqual([]);
    }
    const last = await serve(args);
    const again = new RawClient(last.endpoint());
    expect((await again.range({ key: bytes('k49') })).kvs[0]?.value.toString()).toBe('v');
    again.close();
    expect(await last.stop()).toBe('SIGTERM');
  });

  it('ends it although it can not do so in time, at the second one', async () => {
    const server = await serve(['--data-dir', join(temporaryDirectory(), 'data'), ...onAnyPort]);
    const client = new RawClient(server.endpoint());
    const watching = client.watch();
    watching.send({ create_request: { key: bytes('a') } });
    await watching.reader.next();
    server.signal('SIGTERM');
    await server.line('stopping');
    server.signal('SIGTERM');
    expect(await server.ended).toBe('SIGTERM');
    client.close();
  });
});

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** `npm ...` in the repository, as somebody types it, but without a terminal. */
function npm(args: readonly string[]) {
  const child = spawn('npm', args, { cwd: repoRoot, stdio: ['pipe', 'pipe', 'pipe'] });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  }
  const ended = new Promise<number | string>((resolve) => {
    // Not 'close': a program that is left behind keeps the pipes open.
    child.once('exit', (code, signal) => resolve(code ?? signal ?? -1));
  });
  return { child, ended, output: () => output };
}

describeWith(['kvorum'], 'npm', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('start ends with the server at %s', async (signal) => {
    const data = ['--data-dir', join(temporaryDirectory(), 'data')];
    const { child, ended, output } = npm(['start', '--silent', '--', ...data, ...onAnyPort]);
    await eventually(() => output().includes('ready to serve') || undefined, 'a start', 60_000);
    child.kill(signal);
    expect(await ended).toBe(signal);
    // Nobody has the data directory any more.
    const next = await serve([...data, ...onAnyPort]);
    expect(await next.stop()).toBe('SIGTERM');
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'run cluster ends with its members at %s',
    async (signal) => {
      const dir = temporaryDirectory();
      const port = await freePort();
      const where = ['--size', '2', '--data-dir', dir, '--base-port', String(port)];
      const { child, ended, output } = npm(['run', '--silent', 'cluster', '--', ...where]);
      await eventually(() => /ready to serve/.test(output()) || undefined, 'a start', 60_000);
      child.kill(signal);
      expect(await ended).toBe(0);
      expect(output().match(/m\d ended \(SIG(TERM|INT)\)/g)).toHaveLength(2);
      const next = await serve(['--data-dir', join(dir, 'm1'), '--name', 'm1', ...onAnyPort]);
      await next.kill();
    },
  );
});

/** Runs a program that has a server inside; resolves when it has ended by itself. */
function program(text: string): Promise<{ code: number | string; output: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  }
  return new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code: code ?? signal ?? -1, output }));
  });
}

const built = (path: string) => pathToFileURL(join(repoRoot, 'dist/src', path)).href;
const testing = built('testing/index.js');
const server = built('server/index.js');
const client = built('client/index.js');

describeWith(['kvorum'], 'a program with a server inside', () => {
  it('ends by itself once the test node has been stopped', async () => {
    const { code, output } = await program(`
      import { startNode } from '${testing}';
      import { Etcd } from '${client}';
      const node = await startNode();
      const etcd = new Etcd({ endpoints: [node.clientUrl] });
      await etcd.kv.put('a', '1');
      await node.stop();
      await node.start();
      await etcd.kv.put('a', '2');
      await etcd.close();
      await node.stop();
      console.log('stopped');
    `);
    expect(output).toBe('stopped\n');
    expect(code).toBe(0);
  });

  it('ends by itself once the members of a test cluster have been stopped', async () => {
    const { code, output } = await program(`
      import { startCluster } from '${testing}';
      const cluster = await startCluster();
      await cluster.leader();
      await Promise.all(cluster.members.map((member) => member.stop()));
      console.log('stopped');
    `);
    expect(output).toBe('stopped\n');
    expect(code).toBe(0);
  });

  it('ends by itself once a start was stopped', async () => {
    const { code, output } = await program(`
      import { startNode, startCluster } from '${testing}';
      const cluster = await startCluster({ size: 3 });
      const [a, b, c] = cluster.members;
      await Promise.all([a.stop(), b.stop(), c.stop()]);
      const starting = a.start().then(() => 'started', (error) => error.message);
      await new Promise((resolve) => setTimeout(resolve, 50));
      await a.stop();
      console.log(await starting, a.running);
    `);
    expect(output).toBe('the start of m1 was stopped false\n');
    expect(code).toBe(0);
  });

  it('ends by itself once startServer().stop() has resolved, with clients still there', async () => {
    const dir = join(temporaryDirectory(), 'data');
    const peer = `http://127.0.0.1:${await freePort()}`;
    const { code, output } = await program(`
      import { connect } from 'node:net';
      import { defaultConfig, nodePorts, startServer } from '${server}';
      const none = { debug() {}, info() {}, warn() {}, error() {} };
      const config = defaultConfig(
        '--data-dir', ${JSON.stringify(dir)},
        '--listen-client-urls', '${anyPort}', '--advertise-client-urls', '${anyPort}',
        '--listen-peer-urls', '${peer}', '--initial-advertise-peer-urls', '${peer}',
        '--initial-cluster', 'default=${peer}',
      );
      const server = await startServer(config, nodePorts(config, none));
      const [url] = server.clientUrls;
      await (await fetch(url + '/metrics')).text();
      const idle = connect(Number(new URL(url).port), '127.0.0.1');
      await new Promise((resolve) => idle.once('connect', resolve));
      idle.on('error', () => {}).unref();
      await server.stop();
      console.log('stopped');
    `);
    expect(output).toBe('stopped\n');
    expect(code).toBe(0);
  });
});
