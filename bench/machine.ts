/** What a benchmark figure is worth nothing without: the machine and the programs. */

import { spawnSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

export interface Machine {
  readonly date: string;
  readonly command: string;
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  readonly etcd: string;
  readonly kvorum: string;
  /** File system of the servers' data. */
  readonly fileSystem: string;
}

/** Magic numbers of statfs(2). */
const fileSystemNames: Readonly<Record<number, string>> = {
  16914836: 'tmpfs (memory: fsync costs nothing here)',
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  2035054128: 'overlayfs',
};

/** `etcd`: the program that is compared with, if one is. */
export function describeMachine(dir: string, etcd: string | undefined): Machine {
  const { type } = statfsSync(dir);
  const manifest: unknown = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  );
  const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' });
  return {
    date: new Date().toISOString(),
    command: `npm run bench -- ${process.argv.slice(2).join(' ')}`,
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    etcd: etcd === undefined ? 'not run' : etcdVersion(etcd),
    kvorum: `${versionOf(manifest)} ${(commit.stdout ?? '').trim()}`.trim(),
    fileSystem: fileSystemNames[type] ?? `0x${type.toString(16)}`,
  };
}

/** The first line of `etcd --version`; throws if there is no such etcd. */
export function etcdVersion(program: string): string {
  const result = spawnSync(program, ['--version'], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${program} does not run: leave out --vs etcd`);
  return result.stdout.split('\n')[0]?.replace('etcd Version: ', '') ?? '';
}

function versionOf(manifest: unknown): string {
  const version = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return version ? String(manifest.version) : '';
}
