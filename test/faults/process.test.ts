/**
 * The program as an operator meets it: two on one directory, a directory that others can read, an
 * orderly stop under load, an impatient one, and a disk that takes no more.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { exec } from '../helpers/exec.js';
import { bytes, prefixEnd, RawClient } from '../helpers/grpc.js';
import { cleanEnvironment, freePort } from '../helpers/server.js';
import { kvorumBin } from '../helpers/tools.js';

/** A server whose end is looked at: exit status, and all it wrote. */
interface Run {
  readonly child: ChildProcess;
  readonly endpoint: string;
  readonly ended: Promise<number | string>;
  log(): string;
}

const dirs: string[] = [];
const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-process-'));
  dirs.push(dir);
  return dir;
}

async function flagsFor(dir: string): Promise<readonly [endpoint: string, flags: string[]]> {
  const endpoint = `127.0.0.1:${await freePort()}`;
  const url = `http://${endpoint}`;
  const peer = ['--listen-peer-urls', 'http://127.0.0.1:0'];
  const urls = ['--listen-client-urls', url, '--advertise-client-urls', url, ...peer];
  return [endpoint, ['--data-dir', join(dir, 'data'), ...urls]];
}

/** Starts the program, through a shell that first runs `setup`, and waits until it serves. */
async function start(dir: string, setup = 'true', ...more: readonly string[]): Promise<Run> {
  const [endpoint, flags] = await flagsFor(dir);
  const script = `${setup}; exec "$0" "$@"`;
  const child = spawn('sh', ['-c', script, kvorumBin, ...flags, ...more], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: cleanEnvironment(),
  });
  children.push(child);
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
  }
  const ended = new Promise<number | string>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? -1));
  });
  const run = { child, endpoint, ended, log: () => log };
  await eventually(
    () => (/ready to serve client requests/.test(log) ? true : undefined),
    `a start: ${log}`,
  );
  return run;
}

/** Puts one key after the other until one fails; returns those that were acknowledged. */
async function putUntilRefused(run: Run, writer: number, value: Buffer): Promise<string[]> {
  const client = new RawClient(run.endpoint);
  const done: string[] = [];
  try {
    for (let i = 0; ; i++) {
      const key = `load/${writer}/${i}`;
      await client.put({ key: bytes(key), value }, { deadlineMs: 100_000 });
      done.push(key);
    }
  } catch {
    return done;
  } finally {
    client.close();
  }
}

async function keysOf(run: Run): Promise<Set<string>> {
  const client = new RawClient(run.endpoint);
  try {
    const range = { key: bytes('load/'), range_end: prefixEnd('load/'), keys_only: true };
    const { kvs } = await client.range(range);
    return new Set(kvs.map(({ key }) => key.toString('latin1')));
  } finally {
    client.close();
  }
}

describe('a second process on the same data directory', () => {
  it('says that it is in use, and does the first no harm', async () => {
    const dir = newDir();
    const first = await start(dir);
    const client = new RawClient(first.endpoint);
    await client.put({ key: bytes('load/a'), value: bytes('1') });
    const [, flags] = await flagsFor(dir);
    const second = await exec(kvorumBin, flags);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/^kvorum: .*in use by another process.*data.*\. Stop /m);
    expect(second.stderr).not.toMatch(/\n\s+at /);
    await client.put({ key: bytes('load/b'), value: bytes('2') });
    client.close();
    first.child.kill('SIGTERM');
    expect(await first.ended).toBe('SIGTERM');
    const again = await start(dir);
    expect(await keysOf(again)).toEqual(new Set(['load/a', 'load/b']));
  });
});

describe('a data directory (L-44, CVE-2020-15113)', () => {
  it('is made for this user only', async () => {
    const dir = newDir();
    const run = await start(dir);
    for (const name of ['data', 'data/member', 'data/member/wal']) {
      expect([name, statSync(join(dir, name)).mode & 0o777]).toEqual([name, 0o700]);
    }
    expect(run.log()).not.toContain('chmod 700');
  });

  it('that others may look into is warned of', async () => {
    const dir = newDir();
    const first = await start(dir);
    first.child.kill('SIGTERM');
    await first.ended;
    chmodSync(join(dir, 'data'), 0o755);
    const again = await start(dir);
    expect(again.log()).toMatch(/"level":"warn".*"path":"[^"]*\/data","mode":"0755".*chmod 700/);
  });
});

describe('SIGTERM', () => {
  it('under load: the log is whole, and so is every acknowledged write', {
    timeout: 60_000,
  }, async () => {
    const dir = newDir();
    const logFile = join(dir, 'log');
    const run = await start(dir, 'true', '--log-outputs', `stderr,${logFile}`);
    const load = Array.from({ length: 8 }, (_, i) => putUntilRefused(run, i, bytes('value')));
    await eventually(
      async () => ((await keysOf(run)).size > 500 ? true : undefined),
      'enough writes',
    );
    run.child.kill('SIGTERM');
    const acknowledged = (await Promise.all(load)).flat();
    expect(await run.ended).toBe('SIGTERM');
    const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n');
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ msg: 'stopped' });
    for (const line of lines) expect(JSON.parse(line)).not.toMatchObject({ level: 'error' });
    const again = await start(dir);
    const found = await keysOf(again);
    expect(acknowledged.filter((key) => !found.has(key))).toEqual([]);
    expect(acknowledged.length).toBeGreaterThan(400);
  });

  it('twice: ends at once, and loses no acknowledged write either', async () => {
    const dir = newDir();
    const run = await start(dir);
    const load = Array.from({ length: 8 }, (_, i) => putUntilRefused(run, i, bytes('value')));
    await eventually(
      async () => ((await keysOf(run)).size > 200 ? true : undefined),
      'enough writes',
    );
    run.child.kill('SIGTERM');
    run.child.kill('SIGINT');
    // Two that come together may be over before the second is looked at.
    expect(['SIGINT', 'SIGTERM']).toContain(await run.ended);
    const acknowledged = (await Promise.all(load)).flat();
    const again = await start(dir);
    const found = await keysOf(again);
    expect(acknowledged.filter((key) => !found.has(key))).toEqual([]);
  });

  it('with a watch open and a lease alive: ends in order', async () => {
    const run = await start(newDir());
    const client = new RawClient(run.endpoint);
    await client.leaseGrant({ ID: 5, TTL: 60 });
    const watch = client.watch();
    watch.send({ create_request: { key: bytes('load/'), range_end: prefixEnd('load/') } });
    await watch.reader.next();
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe('SIGTERM');
    client.close();
    expect(run.log()).not.toMatch(/"level":"error"/);
  });
});

describe('a disk that takes no more while the program runs (L-31)', () => {
  it('ends it with status 1 and one line; every acknowledged write is there', async () => {
    const dir = newDir();
    // In units of 512 bytes: the second segment of the log is larger.
    const run = await start(dir, 'ulimit -f 3000');
    const value = Buffer.alloc(50_000, 'x');
    const load = Array.from({ length: 2 }, (_, i) => putUntilRefused(run, i, value));
    const acknowledged = (await Promise.all(load)).flat();
    expect(await run.ended).toBe(1);
    expect(run.log()).toMatch(/^kvorum: .*EFBIG.*member.*\. .*\.$/m);
    expect(run.log()).not.toMatch(/\n\s+at /);
    const again = await start(dir);
    const found = await keysOf(again);
    expect(acknowledged.length).toBeGreaterThan(2);
    expect(acknowledged.filter((key) => !found.has(key))).toEqual([]);
  });
});
