/** Backups in S3, on a server that speaks its language. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BackupTarget, openTarget } from '../../src/backup/index.js';
import { s3PartBytes } from '../../src/common/index.js';
import { nodeClock, nodeDisk } from '../../src/server/index.js';
import { endProgramsAfterEach, run, serve, temporaryDirectory } from '../e2e/program.js';
import { eventually } from '../helpers/eventually.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { freePort } from '../helpers/server.js';
import { describeWith, toolPath } from '../helpers/tools.js';

endProgramsAfterEach();

const name = (number: number, kind = 'changes') =>
  `20261201T020000Z-1a2b3c4d/${kind}-${String(number).padStart(6, '0')}-20261201T020000Z-00000000.kvb`;

async function* pieces(total: number, size = 100_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < total; at += size) {
    yield Buffer.alloc(Math.min(size, total - at), (at / size) % 251);
  }
}

async function contentOf(target: BackupTarget, object: string): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of target.read(object)) all.push(piece);
  return Buffer.concat(all);
}

async function gathered(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of source) all.push(piece);
  return Buffer.concat(all);
}

/** The server, in memory. */
async function startS3(port: number): Promise<ChildProcess> {
  const args = ['-host', `127.0.0.1:${port}`, '-backend', 'memory', '-initialbucket', 'bucket'];
  const child = spawn(toolPath('s3-server'), args, { stdio: 'ignore' });
  await eventually(async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/bucket`);
    await answer.text();
    return answer.ok ? true : undefined;
  }, 'S3');
  return child;
}

describeWith(['s3-server'], 'S3', () => {
  let port: number;
  let s3: ChildProcess;
  let env: Record<string, string>;
  beforeAll(async () => {
    port = await freePort();
    s3 = await startS3(port);
    env = {
      AWS_ACCESS_KEY_ID: 'name',
      AWS_SECRET_ACCESS_KEY: 'secret',
      AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
    };
  });
  afterAll(() => {
    s3?.kill('SIGKILL');
  });

  const open = (place: string, more: object = {}): Promise<BackupTarget> =>
    openTarget(
      place,
      { endpoint: '', region: '', ...more },
      { disk: nodeDisk, clock: nodeClock, env },
    );

  it('has objects whole, of any size, and only ours are listed', async () => {
    const target = await open('s3://bucket/some/prefix/');
    expect(await target.list()).toEqual([]);
    const sizes = [0, 1, s3PartBytes, s3PartBytes + 1, 2 * s3PartBytes + 12_345];
    for (const [i, size] of sizes.entries()) {
      await target.write(name(i), pieces(size));
      const expected = await gathered(pieces(size));
      expect((await contentOf(target, name(i))).equals(expected), `${size}`).toBe(true);
    }
    expect(await target.list()).toEqual(sizes.map((_, i) => name(i)));
    expect(await (await open('s3://bucket/other')).list()).toEqual([]);
    // The prefix is a folder, not a beginning.
    expect(await (await open('s3://bucket/some/pre')).list()).toEqual([]);
    await target.remove(name(1));
    await target.remove(name(1));
    expect(await target.list()).toHaveLength(4);
    await expect(contentOf(target, name(1))).rejects.toThrow('a file of the backup is missing');
    expect(await target.sweep(() => true)).toEqual([]);
  });

  it('shows nothing of a write that fails or is given up, however far it has come', async () => {
    const target = await open('s3://bucket/broken');
    for (const size of [10, 3 * s3PartBytes]) {
      const breaks = async function* (): AsyncGenerator<Buffer> {
        yield* pieces(size);
        throw new Error('the source broke');
      };
      await expect(target.write(name(1), breaks())).rejects.toThrow('the source broke');
      const stop = new AbortController();
      const stops = async function* (): AsyncGenerator<Buffer> {
        yield* pieces(size);
        stop.abort(new Error('given up'));
        yield Buffer.alloc(1);
      };
      await expect(target.write(name(1), stops(), stop.signal)).rejects.toThrow('given up');
    }
    expect(await target.list()).toEqual([]);
    expect(await target.sweep(() => true)).toEqual([]);
  });

  it('says what is wrong, and where to look', async () => {
    await expect((await open('s3://no-such-bucket/x')).list()).rejects.toThrow(
      /S3 can't list: status 404, NoSuchBucket.*s3:\/\/no-such-bucket\/x/s,
    );
    const closed = { endpoint: `http://127.0.0.1:${await freePort()}` };
    const nobody = await open('s3://bucket/x', closed);
    await expect(nobody.list()).rejects.toThrow(/S3 can't list: .*ECONNREFUSED/);
    const { AWS_ACCESS_KEY_ID: _, ...without } = env;
    const ports = { disk: nodeDisk, clock: nodeClock, env: without };
    await expect(openTarget('s3://bucket/x', { endpoint: '', region: '' }, ports)).rejects.toThrow(
      'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set',
    );
    for (const place of ['s3://', 's3://Bucket/x', 's3://b/x', 's3://bucket/a b']) {
      await expect(open(place)).rejects.toThrow("S3 can't be used");
    }
    await expect(open('gs://bucket/x')).rejects.toThrow('backups can not be there');
  });

  describeWith(['kvorum'], 'under a server', () => {
    it('has its backups; while it is away the server serves, and goes on later', async () => {
      const own = await freePort();
      let here = await startS3(own);
      const at = { ...env, AWS_ENDPOINT_URL: `http://127.0.0.1:${own}` };
      const dir = temporaryDirectory();
      try {
        const server = await serve(
          [
            ...['--data-dir', join(dir, 'data'), '--listen-client-urls=http://127.0.0.1:0'],
            ...['--advertise-client-urls=http://x:1', '--listen-peer-urls=http://127.0.0.1:0'],
            ...['--backup-dir=s3://bucket/cluster', '--backup-schedule=1s'],
          ],
          { env: at },
        );
        const client = new RawClient(server.endpoint());
        const put = (key: string) => client.put({ key: bytes(key), value: bytes('v') });
        const newest = async (): Promise<number> => {
          const list = run(['backup', 'list', 's3://bucket/cluster', '-w', 'json'], { env: at });
          await list.ended;
          return JSON.parse(list.stdout || '[]').at(-1)?.revision ?? 0;
        };
        const until = (revision: number) =>
          eventually(async () => ((await newest()) >= revision ? true : undefined), 'backup');
        await put('a');
        await until(2);
        here.kill('SIGKILL');
        await put('b');
        await server.line('the backup failed, and is tried again');
        await put('c');
        const failed = () =>
          server.log.filter(({ msg }) => String(msg).startsWith('the backup failed'));
        expect(failed()).toHaveLength(1);
        // It has forgotten all.
        here = await startS3(own);
        await server.line('backups are made again');
        expect(failed()).toHaveLength(1);
        client.close();
        // So it begins anew.
        await until(4);
        const verify = run(['backup', 'verify', 's3://bucket/cluster'], { env: at });
        expect(await verify.ended, verify.stderr).toBe(0);
        const whole = run(['backup', 's3://bucket/hand', `--endpoints=${server.endpoint()}`], {
          env: at,
        });
        expect(await whole.ended, whole.stderr).toBe(0);
        await server.stop();
        const restored = join(dir, 'restored');
        const restore = run(['restore', 's3://bucket/hand', '--data-dir', restored], { env: at });
        expect(await restore.ended, restore.stderr).toBe(0);
        expect(restore.stdout).toContain('revision    4');
        expect(readdirSync(restored)).toEqual(['member']);
        expect(statSync(join(restored, 'member')).isDirectory()).toBe(true);
      } finally {
        here.kill('SIGKILL');
      }
    });
  });
});
