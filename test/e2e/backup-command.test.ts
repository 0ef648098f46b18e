/**
 * `kvorum backup` and `kvorum restore` as an operator meets them: against real servers, kvorum's
 * and etcd's, and against a server that makes backups itself.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { exec } from '../helpers/exec.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { type ServerProcess, startCluster, startServer } from '../helpers/server.js';
import { describeWith, kvorumBin } from '../helpers/tools.js';
import { endProgramsAfterEach, serve, temporaryDirectory } from './program.js';

endProgramsAfterEach();

const kvorum = (...args: readonly string[]) => exec(kvorumBin, args);

async function well(...args: readonly string[]): Promise<string> {
  const run = await kvorum(...args);
  expect(run.code, run.stderr).toBe(0);
  return run.stdout.toString();
}

/** Writes `count` keys; resolves with the revision of the last. */
async function write(server: ServerProcess, prefix: string, count: number): Promise<number> {
  const client = new RawClient(server.endpoint);
  let revision = 0;
  for (let i = 0; i < count; i += 1) {
    const answer = await client.put({ key: bytes(`${prefix}${i}`), value: bytes(`v${i}`) });
    revision = Number(answer.header?.revision);
  }
  client.close();
  return revision;
}

/** Keys of a server that is started on a restored directory. */
async function keysIn(dataDir: string): Promise<readonly string[]> {
  const server = await serve([
    ...['--data-dir', dataDir, '--listen-client-urls=http://127.0.0.1:0'],
    ...['--advertise-client-urls=http://x:1', '--listen-peer-urls=http://127.0.0.1:0'],
  ]);
  const client = new RawClient(server.endpoint());
  const found = await client.range({ key: bytes('\0'), range_end: bytes('\0') });
  client.close();
  await server.stop();
  return found.kvs.map(({ key }) => key.toString());
}

const files = (place: string): string[] =>
  readdirSync(place).flatMap((folder) => {
    return readdirSync(join(place, folder)).map((name) => join(place, folder, name));
  });

describe.each(['kvorum', 'etcd'] as const)('kvorum backup of %s', (kind) => {
  describeWith(['kvorum', ...(kind === 'etcd' ? (['etcd'] as const) : [])], 'by hand', () => {
    it('takes all, then what has changed, and restores any of it', async () => {
      const dir = temporaryDirectory();
      const place = join(dir, 'backups');
      const server = await startServer(kind, {});
      const at = `--endpoints=${server.endpoint}`;
      try {
        const first = await write(server, 'a', 5);
        expect(await well('backup', place, at)).toContain(`full snapshot, up to revision ${first}`);
        const second = await write(server, 'b', 5);
        const third = await write(server, 'c', 5);
        const since = await well('backup', place, at, '--incremental');
        expect(since).toContain(`changes from revision ${first + 1}, up to revision ${third}`);
        const fourth = await write(server, 'd', 1);
        await well('backup', place, at, '--incremental');
        // Nothing has changed: nothing is written.
        const before = files(place);
        await well('backup', place, at, '--incremental');
        expect(files(place)).toEqual(before);
        expect(before).toHaveLength(4);
        const [listed] = JSON.parse(await well('backup', 'list', place, '-w', 'json'));
        expect(listed).toMatchObject({ fromRevision: first, revision: fourth, files: 3 });
        expect(await well('backup', 'verify', place)).toContain(': well');
        const drill = await well('backup', 'drill', place, `--work-dir=${dir}`);
        expect(drill).toContain(`restored to revision ${fourth}`);
        expect(drill).toContain('its hash is that of the cluster');
        expect(readdirSync(dir)).toEqual(['backups']);
        const at2 = join(dir, 'restored');
        const text = await well('restore', place, '--data-dir', at2, '--to-revision', `${second}`);
        expect(text).toContain(`revision    ${second}`);
        const wanted = ['a', 'b'].flatMap((letter) => [0, 1, 2, 3, 4].map((i) => letter + i));
        expect(await keysIn(at2)).toEqual(wanted);
        const tooFar = await kvorum(
          ...['restore', place, '--data-dir', join(dir, 'x'), '--to-revision', `${fourth + 1}`],
        );
        expect(tooFar.code).toBe(1);
        expect(tooFar.stderr).toContain(`no backup goes as far as revision ${fourth + 1}`);
        expect(tooFar.stderr).toContain(`The newest revision in it is ${fourth}`);
      } finally {
        await server.dispose();
      }
    });
  });
});

describeWith(['kvorum'], 'kvorum backup', () => {
  it('names what is missing or damaged, and what to do', async () => {
    const dir = temporaryDirectory();
    const place = join(dir, 'backups');
    const server = await startServer('kvorum', {});
    const at = `--endpoints=${server.endpoint}`;
    try {
      await write(server, 'a', 3);
      await well('backup', place, at);
      const second = await write(server, 'b', 3);
      await well('backup', place, at, '--incremental');
      const [changes = ''] = files(place).filter((name) => name.includes('changes'));
      const content = readFileSync(changes);
      const dataDir = join(dir, 'restored');
      const refused = async (): Promise<string> => {
        const run = await kvorum('restore', place, '--data-dir', dataDir);
        expect(run.code).toBe(1);
        expect(() => readdirSync(join(dataDir, 'member'))).toThrow();
        return run.stderr;
      };
      truncateSync(changes, content.length - 10);
      expect(await refused()).toMatch(/it has \d+ bytes, and not the \d+ of the manifest/);
      content.writeUInt8(content.readUInt8(200) ^ 1, 200);
      writeFileSync(changes, content);
      expect(await refused()).toContain('it is damaged');
      expect((await kvorum('backup', 'verify', place)).stderr).toContain(changes.slice(-20));
      rmSync(changes);
      expect(await refused()).toContain('a file of the backup is missing');
      expect(await refused()).toContain('Bring it back, restore to a revision before it');
      // What is before it can be had.
      await well('restore', place, '--data-dir', dataDir, '--to-revision', `${second - 3}`);
      expect(await keysIn(dataDir)).toEqual(['a0', 'a1', 'a2']);
    } finally {
      await server.dispose();
    }
  });

  it('encrypts with a key that is in no file of it, and refuses another key', async () => {
    const dir = temporaryDirectory();
    const place = join(dir, 'backups');
    const [key, other] = [join(dir, 'key'), join(dir, 'other')];
    const secret = randomBytes(32);
    writeFileSync(key, secret);
    writeFileSync(other, randomBytes(32).toString('hex'));
    const server = await startServer('kvorum', {});
    const at = `--endpoints=${server.endpoint}`;
    try {
      await write(server, 'secret-name', 3);
      await well('backup', place, at, '--key-file', key);
      await write(server, 'secret-name', 3);
      await well('backup', place, at, '--key-file', key, '--incremental');
      for (const file of files(place)) {
        const content = readFileSync(file);
        expect(content.includes('secret-name')).toBe(false);
        expect(content.includes(secret)).toBe(false);
      }
      const without = await kvorum('backup', 'verify', place);
      expect(without.code).not.toBe(0);
      expect(without.stderr).toMatch(/it is encrypted.*--key-file/);
      const wrong = await kvorum('backup', 'drill', place, '--key-file', other);
      expect(wrong.stderr).toContain('it is encrypted with another key');
      const dataDir = join(dir, 'restored');
      const restore = ['restore', place, '--data-dir', dataDir, '--key-file'];
      expect((await kvorum(...restore, other)).stderr).toContain('encrypted with another key');
      await well(...restore, key);
      expect(await keysIn(dataDir)).toHaveLength(3);
      const noKey = join(dir, 'no-key');
      writeFileSync(noKey, 'short');
      expect((await kvorum(...restore, noKey)).stderr).toContain('the key file has no key');
    } finally {
      await server.dispose();
    }
  });

  it('removes old backups only when told to', async () => {
    const dir = temporaryDirectory();
    const place = join(dir, 'backups');
    const server = await startServer('kvorum', {});
    try {
      for (let i = 0; i < 3; i += 1) {
        await write(server, 'a', 1);
        await well('backup', place, `--endpoints=${server.endpoint}`);
      }
      expect((await kvorum('backup', 'prune', place)).code).not.toBe(0);
      const dry = await well('backup', 'prune', place, '--keep-last', '1');
      expect(dry.match(/would remove/g)).toHaveLength(2);
      expect(readdirSync(place)).toHaveLength(3);
      await well('backup', 'prune', place, '--keep-last', '1', '--yes');
      expect(readdirSync(place)).toHaveLength(1);
      expect(await well('backup', 'verify', place, '--all')).toContain('well');
    } finally {
      await server.dispose();
    }
  });

  it('is made by whoever leads, and continued by who leads next', async () => {
    const dir = temporaryDirectory();
    const place = join(dir, 'backups');
    const args = ['--backup-dir', place, '--backup-schedule', '1s'];
    const members = await startCluster('kvorum', 3, { args });
    const newest = async () => {
      const list = await kvorum('backup', 'list', place, '-w', 'json');
      const all = JSON.parse(list.stdout.toString() || '[]');
      return { revision: all.at(-1)?.revision ?? 0, count: all.length };
    };
    const until = (revision: number, count: number) =>
      eventually(async () => {
        const found = await newest();
        return found.revision === revision && found.count === count ? true : undefined;
      }, `revision ${revision} in backup ${count}`);
    try {
      const [first] = members as [ServerProcess];
      await until(await write(first, 'a', 5), 1);
      // Whoever made it led then: the metrics say so.
      const made = await Promise.all(
        members.map(async ({ clientUrl }) => {
          const text = await (await fetch(`${clientUrl}/metrics`)).text();
          return /^kvorum_backup_last_success_timestamp_seconds [1-9]/m.test(text);
        }),
      );
      expect(made).toContain(true);
      const leader = members[made.lastIndexOf(true)] as ServerProcess;
      await leader.kill();
      const other = members.find((member) => member !== leader) as ServerProcess;
      const revision = await eventually(() => write(other, 'b', 5), 'a write after the failure');
      await until(revision, 1);
      expect(await well('backup', 'verify', place)).toContain('well');
    } finally {
      await Promise.all(members.map((member) => member.dispose()));
    }
  });

  it('continues what a server has begun, and that goes on behind it', async () => {
    const dir = temporaryDirectory();
    const place = join(dir, 'backups');
    const server = await startServer('kvorum', {
      args: ['--backup-dir', place, '--backup-schedule', '1s'],
    });
    const at = `--endpoints=${server.endpoint}`;
    const newest = async (): Promise<number> => {
      const list = await kvorum('backup', 'list', place, '-w', 'json');
      return JSON.parse(list.stdout.toString() || '[]').at(-1)?.revision ?? 0;
    };
    try {
      const first = await write(server, 'a', 5);
      await eventually(async () => ((await newest()) === first ? true : undefined), 'a backup');
      const metrics = await (await fetch(`${server.clientUrl}/metrics`)).text();
      expect(metrics).toMatch(/^kvorum_backup_last_success_timestamp_seconds 1\d+/m);
      expect(metrics).toMatch(/^kvorum_backup_failures_total 0$/m);
      await server.stop();
      await server.start();
      const second = await write(server, 'b', 5);
      await eventually(async () => ((await newest()) === second ? true : undefined), 'another');
      // By hand, of the same chain: it is one and the same history.
      await well('backup', place, at, '--incremental');
      expect(readdirSync(place)).toHaveLength(1);
      expect(await well('backup', 'verify', place)).toContain('well');
      const dataDir = join(dir, 'restored');
      const now = new Date().toISOString();
      const text = await well('restore', place, '--data-dir', dataDir, '--to-time', now);
      expect(text).toContain(`revision    ${second}`);
    } finally {
      await server.dispose();
    }
  });
});
