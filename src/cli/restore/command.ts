/**
 * `kvorum restore`: a data directory from a snapshot, with the options of `etcdutl snapshot
 * restore`. Those that the server has as flags are read by the server's own rules.
 *
 * Exit status: 0 restored; 1 the file or the disk is not as it must be; 2 asked for wrongly.
 */

import { type ParseArgsConfig, parseArgs } from 'node:util';
import { idToHex, type Logger, type Network } from '../../common/index.js';
import {
  buildConfig,
  checkAdvertised,
  checkBootstrap,
  createLogger,
  parseCommandLine,
  type RestoredSnapshot,
  type RestoreOptions,
  restoreSnapshot,
  type ServerConfig,
  UsageError,
} from '../../server/index.js';
import type { CommandIo } from '../command-io.js';
import { failureOf } from '../failure.js';

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

const help = `Makes a data directory from a snapshot, for a member of a new cluster.

Usage:
  kvorum restore FILE [options]

FILE is what 'etcdctl snapshot save' has written, of kvorum or of etcd 3.4 and later. Each member of
the new cluster is restored from the same file, with the same --initial-cluster and token; then all
are started with the same options.

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
): Promise<number> {
  try {
    const asked = parse(argv, io);
    if (asked === undefined) {
      io.stdout(help);
      return 0;
    }
    const { config, ...options } = asked;
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

interface Asked extends Omit<RestoreOptions, 'config' | 'ports'> {
  readonly config: ServerConfig;
}

/** Undefined: help was asked for. */
function parse(argv: readonly string[], io: RestoreIo): Asked | undefined {
  const words = parseWords(argv);
  if (words === undefined) return undefined;
  const { files, switches, shared } = words;
  const [snapshotPath] = files;
  if (snapshotPath === undefined || files.length > 1) {
    throw usage('restore needs exactly one argument, the snapshot');
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
  return { snapshotPath, skipHashCheck, bumpRevision, config };
}

interface Words {
  readonly files: string[];
  readonly switches: Map<string, boolean>;
  readonly shared: string[];
  bump: string;
}

const switchOption = { type: 'boolean' } as const;
const valueOption = { type: 'string' } as const;

const options: NonNullable<ParseArgsConfig['options']> = {
  help: { type: 'boolean', short: 'h' },
  'skip-hash-check': switchOption,
  'mark-compacted': switchOption,
  'bump-revision': valueOption,
  ...Object.fromEntries([...sharedFlags].map((name) => [name, valueOption])),
};

/**
 * Options and files in any order, as with etcdutl; one dash will do, too. Not strict: what is
 * wrong is said here, in the words of the server's own flags.
 */
function parseWords(argv: readonly string[]): Words | undefined {
  const words: Words = { files: [], switches: new Map(), shared: [], bump: '0' };
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
    ...(users + roles > 0 ? [`  auth        ${users} users and ${roles} roles`] : []),
  ];
  return `${lines.join('\n')}\n`;
}
