/** What a benchmark figure is worth nothing without: the machine and the programs. */

import { spawnSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import type { BenchOptions } from './options.js';

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

/** Now: with the programs that are run, and this process's command. */
export function describeMachine({
  dir,
  etcd,
  node,
}: Pick<BenchOptions, 'dir' | 'etcd' | 'node'>): Machine {
  const { type } = statfsSync(dir);
  const manifest: unknown = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  );
  const git = (...args: string[]): string => {
    return (spawnSync('git', args, { encoding: 'utf8' }).stdout ?? '').trim();
  };
  const changes = git('status', '--porcelain', '--', 'src', 'bin') === '' ? '' : ' with changes';
  return {
    date: new Date().toISOString(),
    command: commandOf(process.argv.slice(2)),
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: nodeVersion(node),
    etcd: etcd === undefined ? 'not run' : etcdVersion(etcd),
    kvorum: `${versionOf(manifest)} ${git('rev-parse', '--short', 'HEAD')}${changes}`.trim(),
    fileSystem: fileSystemNames[type] ?? `0x${type.toString(16)}`,
  };
}

/** Options that say where things are on this machine, which concerns nobody else. */
const places = ['--etcd', '--node', '--dir', '--json'];

/** What somebody else types for the same. */
export function commandOf(args: readonly string[]): string {
  const words = args.filter((word, i) => {
    if (places.some((place) => word === place || word.startsWith(`${place}=`))) return false;
    return !places.includes(args[i - 1] ?? '');
  });
  return ['npm run bench --', ...words].join(' ');
}

/** Throws if there is no such Node. */
function nodeVersion(program: string): string {
  const result = spawnSync(program, ['--version'], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`--node ${program} does not run`);
  return result.stdout.trim();
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
