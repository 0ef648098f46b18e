/**
 * `kvorum restore`: a data directory from a snapshot, with the options of `etcdutl snapshot
 * restore`, or from backups, up to a revision or a time. Options that the server has as flags are
 * read by the server's own rules.
 *
 * Exit status: 0 restored; 1 the file or the disk is not as it must be; 2 asked for wrongly.
 */

import { type ParseArgsConfig, parseArgs } from 'node:util';
import {
  type BackupKey,
  parseKey,
  type RestorePoint,
  type S3Settings,
} from '../../backup/index.js';
import { idToHex, type Logger, type Network } from '../../common/index.js';
import {
  buildConfig,
  checkAdvertised,
  checkBootstrap,
  createLogger,
  type Environment,
  parseCommandLine,
  type RestoredSnapshot,
  type RestoreOptions,
  restoreSnapshot,
  type ServerConfig,
  UsageError,
} from '../../server/index.js';
import type { CommandIo } from '../command-io.js';
import { failureOf } from '../failure.js';
import { fromBackups, hasBackups } from './from-backups.js';

/** What a restore needs of a process. */
export type RestoreIo = Pick<
  CommandIo,
  'absolute' | 'clock' | 'openAppend' | 'readFile' | 'stderr' | 'stdout'
>;

/** The outside for one restore. */
export type RestorePorts = (
  config: ServerConfig,
  logger: Logger,
) => RestoreOptions['ports'] & { readonly network: Pick<Network, 'resolve'> };

const sharedFlags: ReadonlySet<string> = new Set([
  'data-dir',
  'wal-dir',
  'name',
  'initial-cluster',
  'initial-cluster-token',
  'initial-advertise-peer-urls',
]);

const help = `Makes a data directory from a snapshot or a backup, for a member of a new cluster.

Usage:
  kvorum restore FILE [options]
  kvorum restore PLACE [options]

FILE is what 'etcdctl snapshot save' has written, of kvorum or of etcd 3.4 and later. PLACE is where
'kvorum backup' or a server with --backup-dir has put backups: a directory, or s3://bucket/prefix.
Each member of the new cluster is restored from the same, with the same --initial-cluster and token;
then all are started with the same options.

From a place:
  --to-revision N
      The state at that revision; without it and --to-time the newest one.
  --to-time T
      The last state that was seen at or before that time: 2026-12-01T10:00:00Z.
  --backup NAME
      From that backup ('kvorum backup list'); else the newest one that has the state.
  --key-file FILE
      The key of encrypted backups.
  --s3-endpoint URL, --s3-region REGION
      Of an S3-compatible store; else AWS_ENDPOINT_URL and AWS_REGION. The access key is in
      AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.

Options:
  --data-dir '<name>.etcd'
      The directory to make; it must not exist, or be empty.
  --wal-dir ''
      A directory of its own for the log.
  --name 'default'
      The name of this member.
  --initial-cluster '<name>=<the URLs below>'
      All members of the new cluster: name=url,name=url,...
  --initial-cluster-token 'etcd-cluster'
      Another one than that of the old cluster keeps their members apart.
  --initial-advertise-peer-urls 'http://localhost:2380'
      Where the others reach this member.
  --skip-hash-check
      Do not check the hash at the end of the file; the copy of a data directory has none.
  --bump-revision '0'
      Raises the revision by so much, that no client meets one again that it has seen. Needs
      --mark-compacted.
  --mark-compacted
      Counts everything up to the raised revision as compacted, so that watchers begin anew.
`;

/** Restores as `argv` (what follows `restore`) says; resolves with the exit status. */
export async function runRestoreCommand(
  argv: readonly string[],
  io: RestoreIo,
  openPorts: RestorePorts,
  env: Environment = {},
): Promise<number> {
  try {
    const asked = parse(argv, io);
    if (asked === undefined) {
      io.stdout(help);
      return 0;
    }
    const { config, point, s3, ...options } = asked;
    const logger = createLogger({
      level: 'warn',
      format: 'console',
      outputs: ['stderr'],
      clock: io.clock,
      openFile: io.openAppend,
    });
    const ports = openPorts(config, logger);
    const { clock } = io;
    await checkAdvertised(config, { clock, logger, resolve: ports.network.resolve });
    const { bumpRevision, snapshotPath } = options;
    if (point !== undefined || (await hasBackups(snapshotPath, ports.disk))) {
      const found = { place: snapshotPath, point: point ?? {}, s3, key: asked.key, env };
      const { from, restored } = await fromBackups(found, { bumpRevision, config, ports });
      await logger.end();
      io.stdout(`${from}\n${describe(restored, io.absolute(config.dataDir))}`);
      return 0;
    }
    const restored = await restoreSnapshot({ ...options, config, ports });
    await logger.end();
    io.stdout(describe(restored, io.absolute(config.dataDir)));
    return 0;
  } catch (error) {
    const { exitCode, message } = failureOf(error);
    io.stderr(`kvorum: ${message}\n`);
    return exitCode;
  }
}

interface Asked extends Pick<RestoreOptions, 'snapshotPath' | 'skipHashCheck' | 'bumpRevision'> {
  readonly config: ServerConfig;
  /** Undefined: nothing says that it is a place of backups. */
  readonly point: RestorePoint | undefined;
  readonly key: BackupKey | undefined;
  readonly s3: S3Settings;
}

/** Undefined: help was asked for. */
function parse(argv: readonly string[], io: RestoreIo): Asked | undefined {
  const words = parseWords(argv);
  if (words === undefined) return undefined;
  const { files, switches, shared } = words;
  const [snapshotPath] = files;
  if (snapshotPath === undefined || files.length > 1) {
    throw usage('restore needs exactly one argument, the snapshot or the place of the backups');
  }
  const bumpRevision = parseBump(words.bump);
  const marked = switches.get('mark-compacted') === true;
  if (bumpRevision > 0 && !marked) {
    throw usage('--mark-compacted required if --bump-revision > 0');
  }
  if (bumpRevision === 0 && marked) {
    throw usage('--mark-compacted disallowed without --bump-revision > 0');
  }
  const line = parseCommandLine(shared, {}, io.readFile);
  if (line.kind !== 'run') return undefined;
  const config = buildConfig(line.flags, io.readFile);
  checkBootstrap(config);
  const skipHashCheck = switches.get('skip-hash-check') === true;
  const value = (name: string): string => words.values.get(name) ?? '';
  return {
    ...{ snapshotPath, skipHashCheck, bumpRevision, config },
    point: pointOf(value('to-revision'), value('to-time'), value('backup')),
    key: keyOf(value('key-file'), io),
    s3: { endpoint: value('s3-endpoint'), region: value('s3-region') },
  };
}

function pointOf(revision: string, time: string, backup: string): RestorePoint | undefined {
  if (revision !== '' && time !== '') {
    throw usage('give --to-revision or --to-time, not both');
  }
  const point: { revision?: number; timeMs?: number; backup?: string } = {};
  if (backup !== '') point.backup = backup;
  if (revision !== '') {
    point.revision = Number(revision);
    if (!/^\d{1,16}$/.test(revision) || point.revision < 1) {
      throw usage('invalid value for --to-revision: must be a whole number above 0');
    }
  }
  if (time !== '') {
    point.timeMs = timeOf(time);
    if (Number.isNaN(point.timeMs)) {
      throw usage('invalid value for --to-time: must be a time as 2026-12-01T10:00:00Z');
    }
  }
  return Object.keys(point).length === 0 ? undefined : point;
}

/** As people write it, or as `kvorum backup list` does; NaN: neither. */
function timeOf(text: string): number {
  const short = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
  const whole = text.replace(short, '$1-$2-$3T$4:$5:$6Z');
  return /^\d{4}-\d\d-\d\d/.test(whole) ? Date.parse(whole) : Number.NaN;
}

function keyOf(path: string, io: RestoreIo): BackupKey | undefined {
  return path === '' ? undefined : parseKey(Buffer.from(io.readFile(path)), path);
}

interface Words {
  readonly files: string[];
  readonly switches: Map<string, boolean>;
  readonly shared: string[];
  /** Of those that the server has not. */
  readonly values: Map<string, string>;
  bump: string;
}

/** Only for places of backups. */
const backupOptions: ReadonlySet<string> = new Set([
  'to-revision',
  'to-time',
  'backup',
  'key-file',
  's3-endpoint',
  's3-region',
]);

const switchOption = { type: 'boolean' } as const;
const valueOption = { type: 'string' } as const;

const options: NonNullable<ParseArgsConfig['options']> = {
  help: { type: 'boolean', short: 'h' },
  'skip-hash-check': switchOption,
  'mark-compacted': switchOption,
  'bump-revision': valueOption,
  ...Object.fromEntries([...backupOptions].map((name) => [name, valueOption])),
  ...Object.fromEntries([...sharedFlags].map((name) => [name, valueOption])),
};

/**
 * Options and files in any order, as with etcdutl; one dash will do, too. Not strict: what is
 * wrong is said here, in the words of the server's own flags.
 */
function parseWords(argv: readonly string[]): Words | undefined {
  const words: Words = {
    ...{ files: [], switches: new Map(), shared: [], values: new Map(), bump: '0' },
  };
  const { tokens } = parseArgs({
    args: withTwoDashes(argv),
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === 'positional') words.files.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, value } = token;
    if (name === 'help') return undefined;
    if (!Object.hasOwn(options, name)) {
      throw usage(`restore has no option --${name.slice(0, 100)}`);
    }
    if (options[name] === switchOption) {
      words.switches.set(name, parseSwitch(name, value ?? 'true'));
      continue;
    }
    if (value === undefined) throw usage(`--${name} needs a value`);
    if (name === 'bump-revision') words.bump = value;
    else if (backupOptions.has(name)) words.values.set(name, value);
    else words.shared.push(`--${name}=${value}`);
  }
  return words;
}

/** As `parseArgs` wants it: `-name` is `--name` to us, and what follows may be a value. */
function withTwoDashes(argv: readonly string[]): string[] {
  let isValue = false;
  return argv.map((word) => {
    const long = !isValue && /^-[^-]./.test(word) ? `-${word}` : word;
    isValue = !isValue && options[long.replace(/^--/, '')] === valueOption;
    return long;
  });
}

function parseSwitch(name: string, text: string): boolean {
  if (/^(1|t|true)$/i.test(text)) return true;
  if (/^(0|f|false)$/i.test(text)) return false;
  throw usage(`invalid value for --${name}: must be true or false`);
}

function parseBump(text: string): number {
  const value = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(value)) return value;
  throw usage('invalid value for --bump-revision: must be a whole number that is not negative');
}

function usage(message: string): UsageError {
  return new UsageError(`${message}. See 'kvorum restore --help'.`);
}

/** For people: what was made of what. */
function describe(restored: RestoredSnapshot, dataDir: string): string {
  const { alarms, clusterId, compactRevision, leases, memberId, records, roles, users } = restored;
  const lines = [
    `restored ${records} revisions of keys, ${leases} leases and ${alarms} alarms`,
    `  revision    ${restored.revision}`,
    `  compacted   ${compactRevision < 0 ? 'nothing' : `up to ${compactRevision}`}`,
    `  cluster id  ${idToHex(clusterId)}`,
    `  member id   ${idToHex(memberId)}`,
    `  data dir    ${dataDir}`,
    ...(restored.isHashVerified ? ['  hash        that of the cluster, computed again'] : []),
    ...(users + roles > 0 ? [`  auth        ${users} users and ${roles} roles`] : []),
  ];
  return `${lines.join('\n')}\n`;
}
