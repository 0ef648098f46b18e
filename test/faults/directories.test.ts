/**
 * Directories that a member can't run on though nothing in them is damaged: the program says which
 * flag is meant, what is so, and what to do, changes nothing, and never advises to throw data away.
 */

import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { exec, type Finished } from '../helpers/exec.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { freePort, type ServerProcess, startCluster, startKvorum } from '../helpers/server.js';
import { kvorumBin } from '../helpers/tools.js';

const dirs: string[] = [];
const mounts: string[] = [];

afterEach(async () => {
  for (const mount of mounts.splice(0)) await exec('umount', [mount]);
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-directories-'));
  dirs.push(dir);
  return dir;
}

async function run(args: readonly string[], as: readonly string[] = []): Promise<Finished> {
  const url = `http://127.0.0.1:${await freePort()}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  const urls = [
    ...['--listen-client-urls', url, '--advertise-client-urls', url],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
    ...['--initial-cluster', `default=${peer}`],
  ];
  const [command = '', ...rest] = [...as, kvorumBin, ...args, ...urls];
  return exec(command, rest);
}

/** The one line for people; status 1. */
async function refusalOf(args: readonly string[], as: readonly string[] = []): Promise<string> {
  const { code, stderr } = await run(args, as);
  const lines = stderr.split('\n').filter((line) => line.startsWith('kvorum: '));
  expect([code, lines.length], stderr).toEqual([1, 1]);
  expect(stderr).not.toMatch(/\n\s+at /);
  const line = lines[0] ?? '';
  expect(line).toMatch(/\. \S.*\.$/);
  return line;
}

/** Names and bytes of all that is below `dir`. */
function contentOf(dir: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(dir, name);
    found[name] = statSync(path).isDirectory() ? '' : readFileSync(path).toString('base64');
  }
  return found;
}

const destroys = /delete|wipe|throw|replace th/i;

/** As etcd 3.7.3 begins every segment of its log, and where it has what. */
function makeEtcdDirectory(dir: string, snapshots: readonly string[]): void {
  mkdirSync(join(dir, 'member/snap'), { recursive: true });
  mkdirSync(join(dir, 'member/wal'));
  const head = Buffer.from(
    '040000000000008408041000000000002000000000000000080110bb81c7fc05',
    'hex',
  );
  const wal = Buffer.concat([head, Buffer.alloc(8192)]);
  writeFileSync(join(dir, 'member/wal/0000000000000000-0000000000000000.wal'), wal);
  for (const name of snapshots)
    writeFileSync(join(dir, 'member/snap', name), Buffer.alloc(8192, 1));
}

describe('a data directory of etcd', () => {
  const kinds = [
    ['of a running member', ['db']],
    ['that etcdutl snapshot restore made', ['0000000000000001-0000000000000001.snap', 'db']],
  ] as const;

  it.each(kinds)('%s is recognised, and led to kvorum restore', async (_kind, snapshots) => {
    const dir = newDir();
    makeEtcdDirectory(dir, snapshots);
    // What etcd made ready for its next segment; kvorum's own are removed at a start.
    writeFileSync(join(dir, 'member/wal/0.tmp'), 'x');
    const before = contentOf(dir);
    const line = await refusalOf(['--data-dir', dir]);
    expect(line).toContain(
      `--data-dir is a directory of etcd, and kvorum does not run on those: ${dir}`,
    );
    expect(line).toContain('etcdctl snapshot save FILE');
    expect(line).toContain('kvorum restore FILE --data-dir NEW');
    expect(line).not.toMatch(destroys);
    expect(contentOf(dir)).toEqual(before);
  });

  it('is recognised too after an earlier kvorum made its database beside it', async () => {
    const dir = newDir();
    makeEtcdDirectory(dir, ['db']);
    mkdirSync(join(dir, 'member/kv'));
    expect(await refusalOf(['--data-dir', dir])).toContain('is a directory of etcd');
  });

  it('is recognised as --wal-dir', async () => {
    const dir = newDir();
    makeEtcdDirectory(join(dir, 'etcd'), ['db']);
    const before = contentOf(dir);
    const walDir = join(dir, 'etcd/member/wal');
    const line = await refusalOf(['--data-dir', join(dir, 'own'), '--wal-dir', walDir]);
    expect(line).toContain(
      `--wal-dir is a directory of etcd, and kvorum does not run on those: ${walDir}`,
    );
    expect(contentOf(dir)).toEqual(before);
  });

  it('given to kvorum restore in the place of a snapshot is told which file it wants', async () => {
    const dir = newDir();
    makeEtcdDirectory(join(dir, 'etcd'), ['db']);
    const args = ['restore', join(dir, 'etcd'), '--data-dir', join(dir, 'new')];
    const { code, stderr } = await exec(kvorumBin, args);
    expect(code).toBe(1);
    expect(stderr).toContain(`the snapshot is a directory, not a file: ${join(dir, 'etcd')}`);
    expect(stderr).toContain('member/snap/db serves with --skip-hash-check');
    expect(existsSync(join(dir, 'new/member'))).toBe(false);
  });
});

describe('a path that is no directory', () => {
  it('is told with its flag', async () => {
    const dir = newDir();
    const file = join(dir, 'file');
    writeFileSync(file, 'mine');
    expect(await refusalOf(['--data-dir', file])).toContain(
      `--data-dir is a file, not a directory: ${file}. Give the path of a directory`,
    );
    expect(await refusalOf(['--data-dir', join(file, 'below')])).toContain(
      "--data-dir can't be used, a part of the path is a file, not a directory",
    );
    expect(await refusalOf(['--data-dir', join(dir, 'data'), '--wal-dir', file])).toContain(
      `--wal-dir is a file, not a directory: ${file}`,
    );
    mkdirSync(join(dir, 'data'));
    writeFileSync(join(dir, 'data', 'member'), '');
    expect(await refusalOf(['--data-dir', join(dir, 'data')])).toContain(
      "--data-dir can't be used, a part of the path is a file, not a directory",
    );
    expect(readFileSync(file, 'utf8')).toBe('mine');
  });
});

/** Somebody who may do little; undefined where this process may not become anybody else. */
async function asNobody(): Promise<readonly string[] | undefined> {
  const as = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  const [command = '', ...args] = [...as, 'test', '-x', kvorumBin];
  const { code } = await exec(command, args).catch(() => ({ code: -1 }));
  return code === 0 ? as : undefined;
}
const nobody = await asNobody();

describe('a directory of another user', () => {
  it.skipIf(nobody === undefined)(
    'is told with its flag and whose it should be (needs root, to become another user)',
    async () => {
      const dir = newDir();
      chmodSync(dir, 0o755);
      for (const name of ['data', 'log']) mkdirSync(join(dir, name), { mode: 0o700 });
      mkdirSync(join(dir, 'own'));
      chmodSync(join(dir, 'own'), 0o777);
      const own = join(dir, 'own/data');
      const cases = [
        [['--data-dir', join(dir, 'data')], '--data-dir'],
        [['--data-dir', join(dir, 'new')], '--data-dir'],
        [['--data-dir', own, '--wal-dir', join(dir, 'log')], '--wal-dir'],
      ] as const;
      for (const [args, flag] of cases) {
        const line = await refusalOf(args, nobody);
        expect(line).toContain(
          `${flag} can't be used, this user may not read or write there (EACCES`,
        );
        expect(line).toContain('Give the directory and all in it to the user that runs kvorum');
        expect(line).not.toMatch(destroys);
      }
    },
  );
});

/** A file system of its own of so many bytes; undefined where this process may not mount one. */
async function mount(dir: string, ...options: readonly string[]): Promise<string | undefined> {
  const path = join(dir, 'mounted');
  mkdirSync(path, { recursive: true });
  const args = ['-t', 'tmpfs', '-o', ['mode=0777', ...options].join(','), 'tmpfs', path];
  const { code } = await exec('mount', args).catch(() => ({ code: -1 }));
  if (code !== 0) return undefined;
  mounts.push(path);
  return path;
}
async function canMount(): Promise<boolean> {
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-mount-'));
  const path = await mount(dir);
  for (const mounted of mounts.splice(0)) await exec('umount', [mounted]);
  rmSync(dir, { recursive: true, force: true });
  return path !== undefined;
}
const mountable = await canMount();

describe.skipIf(!mountable)('a disk (needs the right to mount one)', () => {
  it('that is read-only is told with its flag', async () => {
    const dir = newDir();
    const path = (await mount(dir)) ?? '';
    const data = join(path, 'data');
    const server = await startKvorum({ args: ['--data-dir', data] });
    await server.stop();
    await server.dispose();
    await exec('mount', ['-o', 'remount,ro', path]);
    for (const [flag, args] of [
      ['--data-dir', ['--data-dir', data]],
      ['--data-dir', ['--data-dir', join(path, 'new')]],
      ['--wal-dir', ['--data-dir', join(dir, 'own'), '--wal-dir', join(path, 'log')]],
    ] as const) {
      const line = await refusalOf(args);
      expect(line).toContain(`${flag} can't be used, the file system is read-only`);
      expect(line).not.toMatch(destroys);
    }
  });

  it('that is full at the start is told to be full', async () => {
    const dir = newDir();
    const path = (await mount(dir, 'size=400k')) ?? '';
    const line = await refusalOf(['--data-dir', join(path, 'data')]);
    expect(line).toContain("--data-dir can't be used, the disk is full");
    expect(line).toContain('Free space on it');
    expect(line).not.toMatch(destroys);
    const log = await refusalOf(['--data-dir', join(dir, 'own'), '--wal-dir', join(path, 'log')]);
    expect(log).toContain("--wal-dir can't be used, the disk is full");
  });

  // The log alone on it, the database alone, and both.
  it.each([
    [
      'log',
      '8m',
      (path: string, dir: string) => ['--data-dir', dir, '--wal-dir', join(path, 'log')],
    ],
    ['database', '3m', (path: string, dir: string) => ['--data-dir', path, '--wal-dir', dir]],
    ['member', '20m', (path: string) => ['--data-dir', join(path, 'data')]],
  ] as const)(
    'that becomes full under the %s is told to be full, and when there is room again all is there',
    {
      timeout: 120_000,
    },
    async (_what, size, flagsOf) => {
      const dir = newDir();
      const path = (await mount(dir, `size=${size}`)) ?? '';
      const server = await startKvorum({
        args: [...flagsOf(path, join(dir, 'other')), '--snapshot-count', '10'],
      });
      try {
        const client = new RawClient(server.endpoint);
        const value = Buffer.alloc(100_000, 'x');
        let acknowledged = 0;
        try {
          for (; ; acknowledged++) {
            await client.put({ key: bytes(`key/${acknowledged}`), value }, { deadlineMs: 10_000 });
          }
        } catch {
          client.close();
        }
        await eventually(() => (server.running ? undefined : true), 'its end');
        const line = /^kvorum: .*$/m.exec(server.log)?.[0] ?? server.log;
        expect(line).toContain('the disk is full');
        expect(line).toContain('Free space on it');
        expect(line).not.toMatch(destroys);
        expect(server.log).not.toMatch(/\n\s+at /);
        expect(acknowledged).toBeGreaterThan(2);
        await exec('mount', ['-o', 'remount,size=100m', path]);
        await server.start();
        const again = new RawClient(server.endpoint);
        const range = { key: bytes('key/'), range_end: bytes('key0'), keys_only: true };
        const { kvs } = await again.range(range);
        const keys = new Set(kvs.map(({ key }) => key.toString()));
        for (let i = 0; i < acknowledged; i++) expect(keys).toContain(`key/${i}`);
        again.close();
      } finally {
        await server.dispose();
      }
    },
  );
});

describe('a log directory in use by another process', () => {
  it('is refused before anything in it is changed', async () => {
    const dir = newDir();
    const log = join(dir, 'log');
    const first = await startKvorum({ args: ['--wal-dir', log] });
    try {
      const line = await refusalOf(['--data-dir', join(dir, 'second'), '--wal-dir', log]);
      expect(line).toContain(`--wal-dir is in use by another process: ${log}. Stop that process`);
      const client = new RawClient(first.endpoint);
      await client.put({ key: bytes('a'), value: bytes('b') });
      client.close();
      await first.stop();
      await first.start();
    } finally {
      await first.dispose();
    }
  });
});

it("an old copy of a member's directory does not come back as if it were the present one", {
  timeout: 120_000,
}, async () => {
  const members = await startCluster('kvorum', 3);
  const copy = newDir();
  try {
    const client = new RawClient(members[0]?.endpoint ?? '');
    const put = (key: string) =>
      eventually(() => client.put({ key: bytes(key), value: bytes('v') }), 'a write');
    await put('before');
    const statuses = await Promise.all(
      members.map(async (member) => {
        const one = new RawClient(member.endpoint);
        const status = await one.status();
        one.close();
        return { member, isLeader: status.leader === status.header?.member_id };
      }),
    );
    const { member } = statuses.find(({ isLeader }) => !isLeader) as { member: ServerProcess };
    await member.stop();
    cpSync(member.dataDir, copy, { recursive: true });
    await member.start();
    for (let i = 0; i < 20; i++) await put(`after/${i}`);
    const own = new RawClient(member.endpoint);
    await eventually(async () => {
      const { kvs } = await own.range({ key: bytes('after/19'), serializable: true });
      return kvs.length === 1 ? true : undefined;
    }, 'the last write at the member');
    own.close();
    await member.kill();
    rmSync(member.dataDir, { recursive: true });
    cpSync(copy, member.dataDir, { recursive: true });
    await member.start().catch(() => {});
    await eventually(() => (member.running ? undefined : true), 'its end');
    const line = [...member.log.matchAll(/^kvorum: .*$/gm)].at(-1)?.[0] ?? '';
    expect(line).toContain("--data-dir is an old copy of this member's directory");
    expect(line).toContain(member.dataDir);
    expect(line).toMatch(/entry \d+ is durable here, and the log ends at entry \d+/);
    expect(line).toContain('Start it with the directory that it ran on last');
    expect(member.log).not.toContain('invariant violated');
    client.close();
  } finally {
    await Promise.all(members.map((each) => each.dispose()));
  }
});
