/** What a benchmark figure is worth nothing without: the machine and the programs. */

import { spawnSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import type { ServerKind } from './servers.js';

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

export function describeMachine(dir: string, kinds: readonly ServerKind[]): Machine {
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
    etcd: kinds.includes('etcd') ? etcdVersion() : 'not run',
    kvorum: `${versionOf(manifest)} ${(commit.stdout ?? '').trim()}`.trim(),
    fileSystem: fileSystemNames[type] ?? `0x${type.toString(16)}`,
  };
}

/** The first line of `etcd --version`; throws if there is no etcd. */
export function etcdVersion(): string {
  const result = spawnSync('etcd', ['--version'], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error('no etcd on the PATH: leave out --vs etcd');
  return result.stdout.split('\n')[0]?.replace('etcd Version: ', '') ?? '';
}

function versionOf(manifest: unknown): string {
  const version = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return version ? String(manifest.version) : '';
}
