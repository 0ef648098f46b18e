/**
 * `kvorum restore` and `--force-new-cluster` as an operator meets them: what is said when it does
 * not go, the exit status, and a cluster that goes on after its majority is gone.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { exec } from '../helpers/exec.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { freePort, type ServerProcess, startCluster } from '../helpers/server.js';
import { describeWith, kvorumBin, toolPath } from '../helpers/tools.js';
import { endProgramsAfterEach, serve, temporaryDirectory } from './program.js';

endProgramsAfterEach();

const restore = (...args: readonly string[]) => exec(kvorumBin, ['restore', ...args]);

describeWith(['kvorum'], 'kvorum restore', () => {
  const dir = temporaryDirectory();
  const noSnapshot = join(dir, 'no-snapshot.db');
  writeFileSync(noSnapshot, Buffer.alloc(8192 + 32, 1));
  const used = join(dir, 'used');
  mkdirSync(join(used, 'member'), { recursive: true });

  it.each([
    [[], 2, 'restore needs exactly one argument, the snapshot'],
    [['a', 'b'], 2, 'restore needs exactly one argument'],
    [['a', '--listen-client-urls=http://127.0.0.1:1'], 2, 'has no option --listen-client-urls'],
    [['a', '--data-dir'], 2, '--data-dir needs a value'],
    [['a', '--bump-revision=7'], 2, '--mark-compacted required if --bump-revision > 0'],
    [['a', '--mark-compacted'], 2, '--mark-compacted disallowed without --bump-revision > 0'],
    [['a', '--bump-revision=-7'], 2, 'must be a whole number that is not negative'],
    [['a', '--skip-hash-check=maybe'], 2, 'must be true or false'],
    [['a', '--initial-cluster=x=http://127.0.0.1:1'], 2, `couldn't find local name "default"`],
    [['a', '--name=x', '--initial-cluster=x=http://127.0.0.1:1'], 2, 'http://localhost:2380'],
    [[join(dir, 'nothing.db')], 1, 'no such file'],
    [[dir], 1, 'the snapshot is a directory, not a file'],
    [[noSnapshot], 1, 'expected sha256 0101'],
    [[noSnapshot, '--skip-hash-check'], 1, 'it has no valid meta page'],
    [[noSnapshot, `--data-dir=${used}`], 1, '--data-dir is not empty'],
  ])('%j exits with %i and one line on stderr', async (args, code, text) => {
    const hasDir = args.some((word) => word.startsWith('--data-dir'));
    const own = hasDir ? [] : [`--data-dir=${join(dir, 'new')}`];
    const run = await restore(...args, ...own);
    expect(run.stderr).toContain(text);
    expect(run.stderr).toMatch(/^kvorum: .*\n$/);
    expect(run.stdout.toString()).toBe('');
    expect(run.code).toBe(code);
  });

  it('tells its options, and kvorum --help tells of it', async () => {
    const run = await restore('--help');
    expect(run.code).toBe(0);
    for (const name of ['data-dir', 'skip-hash-check', 'bump-revision', 'mark-compacted']) {
      expect(run.stdout.toString()).toContain(`--${name}`);
    }
    const help = await exec(kvorumBin, ['--help']);
    expect(help.stdout.toString()).toContain('kvorum restore FILE');
  });
});

describeWith(['kvorum', 'etcdctl'], 'a cluster that has lost its majority', () => {
  let members: readonly ServerProcess[] = [];

  it('goes on from one member, and grows again', async () => {
    members = await startCluster('kvorum', 3);
    try {
      const [survivor] = members as [ServerProcess];
      const client = new RawClient(survivor.endpoint);
      for (let i = 0; i < 20; i++) await client.put({ key: bytes(`k${i}`), value: bytes('v') });
      client.close();
      for (const member of members) await member.kill();
      const peer = `http://127.0.0.1:${await freePort()}`;
      const newPeer = `http://127.0.0.1:${await freePort()}`;
      const args = (name: string, dataDir: string, peerUrl: string): string[] => [
        ...['--name', name, '--data-dir', dataDir],
        ...['--listen-client-urls=http://127.0.0.1:0', '--advertise-client-urls=http://x:1'],
        ...['--listen-peer-urls', peerUrl],
      ];
      // Its peer URL may be another one by now, it is only that of the others that count.
      const forced = await serve([...args('m1', survivor.dataDir, peer), '--force-new-cluster']);
      const warning = await forced.line(
        '--force-new-cluster: this member goes on as the only one of its cluster. The others are ' +
          'removed for good and must never be started again; what only they had is lost. ' +
          'Remove the flag now, and add new members with empty data directories.',
      );
      expect(warning.removed).toHaveLength(2);
      const etcdctl = async (...words: string[]): Promise<string> => {
        const run = await exec(toolPath('etcdctl'), [`--endpoints=${forced.endpoint()}`, ...words]);
        expect(run.code, run.stderr).toBe(0);
        return run.stdout.toString();
      };
      expect((await etcdctl('get', 'k', '--prefix', '--keys-only')).match(/k\d+/g)).toHaveLength(
        20,
      );
      const [own = ''] = (await etcdctl('member', 'list')).split(',');
      await etcdctl('member', 'update', own, `--peer-urls=${peer}`);
      await etcdctl('member', 'add', 'm4', `--peer-urls=${newPeer}`);
      const cluster = [`--initial-cluster=m1=${peer},m4=${newPeer}`];
      const advertised = [`--initial-advertise-peer-urls=${newPeer}`];
      const joined = await serve([
        ...args('m4', join(temporaryDirectory(), 'm4'), newPeer),
        ...[...cluster, ...advertised, '--initial-cluster-state=existing'],
      ]);
      const there = await exec(toolPath('etcdctl'), [
        ...[`--endpoints=${joined.endpoint()}`, 'get', 'k7', '--print-value-only'],
      ]);
      expect(there.stdout.toString()).toBe('v\n');
      expect((await etcdctl('member', 'list')).trim().split('\n')).toHaveLength(2);
    } finally {
      await Promise.all(members.map((member) => member.dispose()));
    }
  });
});
