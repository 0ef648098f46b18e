/**
 * What a server is started with: immutable, every unit in the name, every value already checked.
 * Made from the flags here; embedders may write one themselves (see `defaultConfig`).
 */

import { quotaBytesDefault } from '../../common/index.js';
import { type AuditConfig, readAudit } from './audit.js';
import { type AuthTokenConfig, readAuthToken } from './auth-token.js';
import { type AutoTls, hasCertificate, readAutoTls } from './config-auto-tls.js';
import { type BackupConfig, readBackup } from './config-backup.js';
import {
  asksForCertificates,
  type PortTls,
  prefixOf,
  readTls,
  type TlsPort,
} from './config-tls.js';
import { type Gated, readGated } from './feature-gates.js';
import { parseGoDuration } from './flag-value.js';
import { type Flags, parseCommandLine, type ReadFile } from './flags.js';
import { flagTable } from './flags-table.js';
import { type LogRotation, readLogRotation } from './log-rotation.js';
import { parseRateLimit, type RateLimit } from './rate-limit.js';
import { areCertainlyDifferent, type Naming, UrlComparison } from './same-urls.js';
import { readTracing, type TracingConfig } from './tracing.js';
import { checkBindUrls, parseInitialCluster, parseUrl, parseUrls, type ServerUrl } from './urls.js';
import { quote, UsageError } from './usage-error.js';

/** What old history is removed by itself. */
export type AutoCompaction =
  | { readonly mode: 'off' }
  /** Keeps what is younger than `retentionMs`. */
  | { readonly mode: 'periodic'; readonly retentionMs: number }
  /** Keeps the last `retentionRevisions`. */
  | { readonly mode: 'revision'; readonly retentionRevisions: number };

/** See the flag of the same name (docs/configuration.md) for what each one does. */
export interface ServerConfig extends Gated {
  readonly name: string;
  readonly dataDir: string;
  /** '': inside `dataDir`. */
  readonly walDir: string;

  readonly listenPeerUrls: readonly ServerUrl[];
  readonly listenClientUrls: readonly ServerUrl[];
  /** Not empty: HTTP only here, and only gRPC on `listenClientUrls`. */
  readonly listenClientHttpUrls: readonly ServerUrl[];
  readonly listenMetricsUrls: readonly ServerUrl[];
  readonly advertisePeerUrls: readonly string[];
  readonly advertiseClientUrls: readonly string[];

  /** Member name -> peer URLs; only read when the data directory is new. */
  readonly initialCluster: ReadonlyMap<string, readonly string[]>;
  readonly initialClusterState: 'new' | 'existing';
  readonly initialClusterToken: string;
  /** Undefined: the founders are those of `initialCluster`; else DNS names them. */
  readonly discoverySrv: { readonly domain: string; readonly serviceName: string } | undefined;
  readonly strictReconfigCheck: boolean;
  readonly learnersMax: number;
  /** While this member leads. */
  readonly autoPromoteLearners: boolean;
  /** Of this member, as long as it is a learner. */
  readonly readOnlyMember: boolean;

  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly initialElectionTickAdvance: boolean;
  readonly preVote: boolean;
  readonly snapshotCount: number;
  readonly snapshotCatchUpEntries: number;

  /** Infinity: no quota. */
  readonly quotaBytes: number;
  readonly flushIntervalMs: number;
  /** Infinity: however many there are. */
  readonly flushRecords: number;
  readonly txnOpsMax: number;
  readonly requestBytesMax: number;
  readonly concurrentStreamsMax: number;
  readonly keepaliveMinTimeMs: number;
  /** Of answers that are made or unsent; 0: by the memory that there is. */
  readonly answersMemoryBytes: number;
  /** Memory for values that are not waiting to be written; 0: a share of what there is. */
  readonly valueCacheBytes: number;
  /** Undefined: none. */
  readonly rateLimit: RateLimit | undefined;
  /** 0: never ping. */
  readonly keepaliveIntervalMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly autoCompaction: AutoCompaction;
  readonly compactionBatch: number;
  readonly compactionSleepMs: number;
  readonly watchProgressIntervalMs: number;
  readonly slowRequestMs: number;
  readonly slowApplyMs: number;
  /** 0: no periodic corruption check. */
  readonly corruptCheckMs: number;
  /** 0: a downgrade is on until it is cancelled. */
  readonly downgradeCheckMs: number;

  /** Undefined: no certificate is given. Without one of those below, no https:// URL either. */
  readonly clientTls: PortTls | undefined;
  readonly peerTls: PortTls | undefined;
  /** Certificates that the member makes for itself. */
  readonly clientAutoTls: AutoTls | undefined;
  readonly peerAutoTls: AutoTls | undefined;
  /** Certificates of clients say who they are. */
  readonly clientCertAuth: boolean;
  readonly authToken: AuthTokenConfig;
  /** Of a simple token that is not used. */
  readonly authTokenTtlMs: number;
  /** See Passwords.hash. */
  readonly bcryptCost: number;
  /** Origins for browsers; '*' is all. */
  readonly cors: readonly string[];
  /** Host names for plain HTTP; '*' is all. */
  readonly hostWhitelist: readonly string[];

  readonly extensiveMetrics: boolean;
  /** Profiles under /debug/pprof/ on the ports of clients. */
  readonly enablePprof: boolean;
  /** Undefined: this member makes no backups. */
  readonly backup: BackupConfig | undefined;
  readonly logLevel: LogLevel;
  readonly logFormat: 'json' | 'console';
  /** 'stderr', 'stdout' or a path. */
  readonly logOutputs: readonly string[];
  /** Of the one path among them; undefined: it grows for ever. */
  readonly logRotation: LogRotation | undefined;
  /** '': none. */
  readonly raftTraceFile: string;
  /** Undefined: nobody writes down who did what. */
  readonly audit: AuditConfig | undefined;
  /** Undefined: no traces. */
  readonly tracing: TracingConfig | undefined;
  readonly unsafeNoFsync: boolean;
  /** The program exercises itself before it starts the server. */
  readonly warmsUp: boolean;
  /** SO_REUSEPORT on all listeners. */
  readonly socketReusePort: boolean;
  /** Threads for the sockets and TLS of clients; 0: none. */
  readonly ioThreads: number;
  /** The JSON gateway is served on the client URLs. */
  readonly gatewayEnabled: boolean;
  /** gRPC reflection is served with the other services. */
  readonly reflectionEnabled: boolean;
  /** Go on as the only member of the cluster that is in the data directory. */
  readonly forceNewCluster: boolean;

  /** For the log at start: what was ignored or has no effect. */
  readonly warnings: readonly string[];
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** A configuration as `kvorum` would have it with these arguments; for tests and embedding. */
export function defaultConfig(...argv: readonly string[]): ServerConfig {
  const readFile = () => {
    throw new UsageError('files are not read here');
  };
  const commandLine = parseCommandLine(argv, {}, readFile);
  if (commandLine.kind !== 'run') throw new UsageError(`${commandLine.kind} starts no server`);
  return buildConfig(commandLine.flags, readFile);
}

/** Checks what the flags mean together. Throws {@link UsageError}. */
export function buildConfig(flags: Flags, readFile: ReadFile): ServerConfig {
  const warnings = [...flags.warnings];
  const name = memberName(flags);
  const urls = buildUrls(flags);
  const dataDir = directory(flags, 'data-dir') || `${name}.etcd`;
  const tls = buildTls(flags, dataDir, urls, readFile, warnings);
  const timing = buildTiming(flags);
  warnings.push(...unsafeWarnings(flags));
  return Object.freeze({
    name,
    dataDir,
    walDir: directory(flags, 'wal-dir'),
    ...urls,
    initialCluster: initialCluster(flags, name, urls.advertisePeerUrls),
    discoverySrv: discoverySrv(flags),
    initialClusterState: flags.text('initial-cluster-state') === 'new' ? 'new' : 'existing',
    initialClusterToken: flags.text('initial-cluster-token'),
    gatewayEnabled: flags.bool('enable-grpc-gateway'),
    reflectionEnabled: flags.bool('enable-grpc-reflection'),
    strictReconfigCheck: flags.bool('strict-reconfig-check'),
    learnersMax: flags.number('max-learners'),
    autoPromoteLearners: flags.bool('auto-promote-learners'),
    readOnlyMember: flags.bool('read-only-member'),
    ...timing,
    initialElectionTickAdvance: flags.bool('initial-election-tick-advance'),
    preVote: flags.bool('pre-vote'),
    snapshotCount: flags.number('snapshot-count'),
    snapshotCatchUpEntries: flags.number('snapshot-catchup-entries'),
    ...buildLimits(flags, warnings),
    ...readGated(flags, urls.advertisePeerUrls, warnings),
    ...tls,
    clientCertAuth: flags.bool('client-cert-auth'),
    authToken: readAuthToken(flags, readFile, warnings),
    authTokenTtlMs: flags.number('auth-token-ttl') * 1000,
    bcryptCost: flags.number('bcrypt-cost'),
    cors: buildCors(flags),
    hostWhitelist: orStar(flags.list('host-whitelist')),
    extensiveMetrics: flags.text('metrics') === 'extensive',
    enablePprof: flags.bool('enable-pprof'),
    backup: readBackup(flags, readFile),
    ...buildLogging(flags),
    audit: readAudit(flags, readFile),
    tracing: readTracing(flags),
    unsafeNoFsync: flags.bool('unsafe-no-fsync'),
    warmsUp: flags.bool('warm-up'),
    socketReusePort: flags.bool('socket-reuse-port'),
    ioThreads: flags.number('io-threads'),
    forceNewCluster: flags.bool('force-new-cluster'),
    warnings,
  });
}

/** Whoever reads the log of a member that lost data finds out why. */
function unsafeWarnings(flags: Flags): string[] {
  return flagTable
    .filter(({ group, name }) => group === 'unsafe' && flags.bool(name))
    .map(({ help, name }) => `--${name} is unsafe. ${help}`);
}

/** The name is part of a file name and of --initial-cluster. */
const memberNameBytesMax = 200;

function memberName(flags: Flags): string {
  const name = flags.text('name');
  if (name === '') throw new UsageError('--name must not be empty');
  if (Buffer.byteLength(name) > memberNameBytesMax) {
    throw new UsageError(`--name ${quote(name)} is longer than ${memberNameBytesMax} bytes`);
  }
  if (/[,=/]/.test(name) || name.trim() !== name) {
    throw new UsageError(`--name ${quote(name)} must not contain ',', '=', '/' or outer spaces`);
  }
  return name;
}

const pathBytesMax = 4000;
const fileNameBytesMax = 255;

function directory(flags: Flags, flag: string): string {
  const path = flags.text(flag);
  const longest = Math.max(...path.split('/').map((part) => Buffer.byteLength(part)));
  if (Buffer.byteLength(path) > pathBytesMax || longest > fileNameBytesMax) {
    throw new UsageError(`--${flag} ${quote(path)} is too long for a directory name`);
  }
  return path;
}

type Urls = Pick<
  ServerConfig,
  | 'listenPeerUrls'
  | 'listenClientUrls'
  | 'listenClientHttpUrls'
  | 'listenMetricsUrls'
  | 'advertisePeerUrls'
  | 'advertiseClientUrls'
>;

function buildUrls(flags: Flags): Urls {
  if (flags.isSet('listen-client-urls') && !flags.isSet('advertise-client-urls')) {
    const typed = flags.list('listen-client-urls')[0] ?? '';
    // Only what can be pasted is worth showing; anything else could even garble the terminal.
    const example = /^[!-~]{1,100}$/.test(typed) ? typed : 'http://localhost:2379';
    throw new UsageError(
      '--advertise-client-urls is required when --listen-client-urls is set explicitly ' +
        `(for clients on this machine: --advertise-client-urls=${example})`,
    );
  }
  const listen = (flag: string, required: boolean) => {
    const urls = parseUrls(flag, flags.list(flag));
    if (required && urls.length === 0) throw new UsageError(`--${flag} must not be empty`);
    checkBindUrls(flag, urls);
    return urls;
  };
  const advertise = (flag: string) => {
    const urls = parseUrls(flag, flags.list(flag));
    if (urls.length === 0) throw new UsageError(`--${flag} must not be empty`);
    return urls.map((url) => url.text);
  };
  return {
    listenPeerUrls: listen('listen-peer-urls', true),
    listenClientUrls: listen('listen-client-urls', true),
    listenClientHttpUrls: listen('listen-client-http-urls', false),
    listenMetricsUrls: listen('listen-metrics-urls', false),
    advertisePeerUrls: advertise('initial-advertise-peer-urls'),
    advertiseClientUrls: advertise('advertise-client-urls'),
  };
}

/** Undefined without the flag. As etcd, there is one source of members at most. */
function discoverySrv(flags: Flags): ServerConfig['discoverySrv'] {
  const domain = flags.text('discovery-srv');
  if (domain === '') return undefined;
  if (flags.isSet('initial-cluster')) {
    throw new UsageError(
      'multiple discovery or bootstrap flags are set. ' +
        'Choose one of "initial-cluster" or "discovery-srv"',
    );
  }
  const serviceName = flags.text('discovery-srv-name');
  if (/^[\w.-]{1,253}$/.test(domain) && /^[\w-]{0,50}$/.test(serviceName)) {
    return { domain, serviceName };
  }
  throw new UsageError(
    '--discovery-srv must be a DNS domain, --discovery-srv-name letters, digits and dashes',
  );
}

/** Without the flag the cluster is this member, under its own name and peer URLs. As etcd. */
function initialCluster(
  flags: Flags,
  name: string,
  advertisePeerUrls: readonly string[],
): ReadonlyMap<string, readonly string[]> {
  if (!flags.isSet('initial-cluster')) return new Map([[name, advertisePeerUrls]]);
  const members = parseInitialCluster(flags.text('initial-cluster'));
  if (members.size === 0) throw new UsageError('--initial-cluster must not be empty');
  return members;
}

/**
 * For a server without data, before it founds or joins a cluster: this member must be one of the
 * initial cluster, under the URLs that it advertises. Throws {@link UsageError}.
 */
export function checkBootstrap(config: ServerConfig): void {
  const own = config.initialCluster.get(config.name);
  if (own === undefined) {
    const names = [...config.initialCluster.keys()].slice(0, 10).map(quote).join(', ');
    throw new UsageError(
      `couldn't find local name ${quote(config.name)} in the initial cluster configuration; ` +
        `--initial-cluster has ${names}`,
    );
  }
  const seen = new Map<string, string>();
  for (const [name, urls] of config.initialCluster) {
    for (const url of urls) {
      const other = seen.get(url);
      if (other !== undefined && other !== name) {
        throw new UsageError(`--initial-cluster has the URL ${url} for two members`);
      }
      seen.set(url, name);
    }
  }
  // Whoever added this member has told the cluster its URLs; here they are only compared. As etcd.
  if (config.initialClusterState === 'existing') return;
  if (config.readOnlyMember) {
    throw new UsageError(
      '--read-only-member needs --initial-cluster-state=existing: whoever founds a cluster votes',
    );
  }
  const advertised = config.advertisePeerUrls;
  const missing = advertised.find((url) => own.every((other) => areCertainlyDifferent(url, other)));
  const extra = own.find((url) => advertised.every((other) => areCertainlyDifferent(url, other)));
  if (missing !== undefined || extra !== undefined) throw notAdvertised(config, missing, extra);
}

/**
 * The part of {@link checkBootstrap} that may have to ask for host names. Rejects with
 * {@link UsageError}, and with the reason of the signal.
 */
export async function checkAdvertised(config: ServerConfig, naming: Naming): Promise<void> {
  if (config.initialClusterState === 'existing') return;
  const listed = config.initialCluster.get(config.name) ?? [];
  const { advertisePeerUrls } = config;
  if (await new UrlComparison(naming).areSame(advertisePeerUrls, listed)) return;
  const missing = advertisePeerUrls.find((url) => !listed.includes(url));
  const extra = listed.find((url) => !advertisePeerUrls.includes(url));
  throw notAdvertised(config, missing, extra);
}

function notAdvertised(
  { advertisePeerUrls, initialCluster, name }: ServerConfig,
  missing: string | undefined,
  extra: string | undefined,
): UsageError {
  return new UsageError(
    missing !== undefined
      ? `--initial-advertise-peer-urls has ${missing} but --initial-cluster does not have ` +
          `${name}=${missing}`
      : `--initial-cluster has ${name}=${extra ?? initialCluster.get(name)?.join(',')} but ` +
          `missing from --initial-advertise-peer-urls=${advertisePeerUrls.join(',')}`,
  );
}

const electionMsMax = 50_000;
const electionPerHeartbeat = 5;

function buildTiming(flags: Flags): Pick<ServerConfig, 'heartbeatMs' | 'electionMs'> {
  const heartbeatMs = flags.number('heartbeat-interval');
  const electionMs = flags.number('election-timeout');
  if (electionMs < electionPerHeartbeat * heartbeatMs) {
    throw new UsageError(
      `--election-timeout[${electionMs}ms] should be at least as 5 times as ` +
        `--heartbeat-interval[${heartbeatMs}ms]`,
    );
  }
  if (electionMs > electionMsMax) {
    throw new UsageError(
      `--election-timeout[${electionMs}ms] is too long, ` +
        `and should be set less than ${electionMsMax}ms`,
    );
  }
  return { heartbeatMs, electionMs };
}

/**
 * Fifty times etcd's: the log already has everything, and each LevelDB batch costs an fsync that
 * the log's own writes have to queue behind (docs/adr/0012-write-path-tails.md). Four megabytes
 * that wait are written at once, so this is only how often the rest is.
 */
const flushIntervalMsDefault = 5000;
/** etcd's. */
const slowRequestMsDefault = 300;
const quotaBytesAdvised = 8 * 1024 * 1024 * 1024;
const requestBytesAdvised = 10 * 1024 * 1024;

function buildLimits(flags: Flags, warnings: string[]) {
  const quota = flags.number('quota-backend-bytes');
  if (quota > quotaBytesAdvised) warnings.push('--quota-backend-bytes is above the advised 8 GiB');
  const requestBytesMax = flags.number('max-request-bytes');
  if (requestBytesMax > requestBytesAdvised) {
    warnings.push('--max-request-bytes is above the advised 10 MiB');
  }
  const noQuota = quota < 0 ? Number.POSITIVE_INFINITY : quota;
  return {
    quotaBytes: quota === 0 ? quotaBytesDefault : noQuota,
    flushIntervalMs: flags.number('backend-batch-interval') || flushIntervalMsDefault,
    flushRecords: flags.number('backend-batch-limit') || Number.POSITIVE_INFINITY,
    txnOpsMax: flags.number('max-txn-ops'),
    requestBytesMax,
    concurrentStreamsMax: flags.number('max-concurrent-streams'),
    answersMemoryBytes: answersMemory(flags),
    valueCacheBytes: flags.number('value-cache-bytes'),
    rateLimit: parseRateLimit(flags.text('rate-limit')),
    keepaliveMinTimeMs: flags.number('grpc-keepalive-min-time'),
    keepaliveIntervalMs: flags.number('grpc-keepalive-interval'),
    keepaliveTimeoutMs: flags.number('grpc-keepalive-timeout'),
    autoCompaction: autoCompaction(flags),
    compactionBatch: flags.number('compaction-batch-limit'),
    compactionSleepMs: flags.number('compaction-sleep-interval'),
    watchProgressIntervalMs: flags.number('watch-progress-notify-interval'),
    slowRequestMs: flags.number('warning-unary-request-duration') || slowRequestMsDefault,
    slowApplyMs: flags.number('warning-apply-duration'),
    corruptCheckMs: flags.number('corrupt-check-time'),
    downgradeCheckMs: flags.number('downgrade-check-time'),
  };
}

const hourMs = 3_600_000;

/** Less has no room for one value of the usual size beside others. */
const answersMemoryBytesMin = 16 * 1024 * 1024;

function answersMemory(flags: Flags): number {
  const bytes = flags.number('answers-memory-bytes');
  if (bytes !== 0 && bytes < answersMemoryBytesMin) {
    throw new UsageError(
      `--answers-memory-bytes must be 0 or at least ${answersMemoryBytesMin}, not ${bytes}`,
    );
  }
  return bytes;
}

function autoCompaction(flags: Flags): AutoCompaction {
  const text = flags.text('auto-compaction-retention');
  const whole = /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  if (whole === 0) return { mode: 'off' };
  if (flags.text('auto-compaction-mode') === 'revision') {
    if (whole !== undefined) return { mode: 'revision', retentionRevisions: whole };
    throw new UsageError(
      `invalid value ${quote(text)} for flag --auto-compaction-retention: ` +
        'must be a number of revisions with --auto-compaction-mode=revision',
    );
  }
  // As in etcd, a bare number is hours.
  const retentionMs = whole !== undefined ? whole * hourMs : parseGoDuration(text);
  if (retentionMs === undefined || retentionMs < 0 || retentionMs > 1e6 * hourMs) {
    throw new UsageError(
      `invalid value ${quote(text)} for flag --auto-compaction-retention: ` +
        "must be a duration such as '5m' or '1h', or a number of hours",
    );
  }
  return retentionMs === 0 ? { mode: 'off' } : { mode: 'periodic', retentionMs };
}

function buildTls(
  flags: Flags,
  dataDir: string,
  urls: Urls,
  readFile: ReadFile,
  warnings: string[],
) {
  const clientUrls = [...urls.listenClientUrls, ...urls.listenClientHttpUrls];
  const client = [...clientUrls.map(hostOf), ...urls.advertiseClientUrls.map(hostIn)];
  const peer = [...urls.listenPeerUrls.map(hostOf), ...urls.advertisePeerUrls.map(hostIn)];
  const clientTls = readTls('client', flags, readFile);
  const peerTls = readTls('peer', flags, readFile);
  const clientAutoTls = readAutoTls('client', flags, dataDir, unique(client), readFile);
  const peerAutoTls = readAutoTls('peer', flags, dataDir, unique(peer), readFile);
  for (const port of ['client', 'peer'] as const) {
    if (!flags.bool(`${prefixOf(port)}auto-tls`) || !hasCertificate(port, flags)) continue;
    warnings.push(`--${prefixOf(port)}auto-tls is ignored: certificate files are given`);
  }
  const clientHasTls = (clientTls ?? clientAutoTls) !== undefined;
  const peerHasTls = (peerTls ?? peerAutoTls) !== undefined;
  checkSchemes(clientUrls, 'client', clientHasTls, flags, warnings);
  checkSchemes(urls.listenMetricsUrls, 'client', clientHasTls, flags, []);
  checkSchemes(urls.listenPeerUrls, 'peer', peerHasTls, flags, warnings);
  return { clientTls, peerTls, clientAutoTls, peerAutoTls };
}

/** What certificates call the host of a URL; who dials a unix socket asks for localhost. */
function hostOf({ host }: ServerUrl): string {
  return host === '' ? 'localhost' : host;
}

function hostIn(text: string): string {
  const url = parseUrl(text);
  return typeof url === 'string' ? 'localhost' : hostOf(url);
}

function unique(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)];
}

function checkSchemes(
  urls: readonly ServerUrl[],
  port: TlsPort,
  hasTls: boolean,
  flags: Flags,
  warnings: string[],
): void {
  const prefix = prefixOf(port);
  for (const url of urls) {
    if (url.secure && !hasTls) {
      throw new UsageError(
        `${url.text} needs TLS: give --${prefix}cert-file and --${prefix}key-file, ` +
          'or use an http:// URL',
      );
    }
    if (url.secure) continue;
    if (hasTls) {
      const flag = hasCertificate(port, flags) ? 'cert-file' : 'auto-tls';
      warnings.push(`${url.text} is served without TLS although --${prefix}${flag} is set`);
    }
    if (asksForCertificates(port, flags)) {
      warnings.push(`${url.text} asks nobody for a certificate, being served without TLS`);
    }
  }
}

function orStar(list: readonly string[]): readonly string[] {
  return list.length === 0 ? ['*'] : list;
}

function buildCors(flags: Flags): readonly string[] {
  const origins = orStar(flags.list('cors'));
  const named = origins.filter((origin) => origin !== '*');
  for (const origin of named) {
    if (/^https?:\/\/[^/?#\s]+$/.test(origin)) continue;
    throw new UsageError(
      `invalid value ${quote(origin)} for flag --cors: must be '*' or origins such as ` +
        'https://example.com',
    );
  }
  return origins;
}

/** Levels of zap, and what they are here: nothing is logged at its two levels of panic. */
const logLevels: ReadonlyMap<string, LogLevel> = new Map([
  ['debug', 'debug'],
  ['', 'info'],
  ['info', 'info'],
  ['warn', 'warn'],
  ['warning', 'warn'],
  ['error', 'error'],
  ['dpanic', 'fatal'],
  ['panic', 'fatal'],
  ['fatal', 'fatal'],
]);

function buildLogging(
  flags: Flags,
): Pick<ServerConfig, 'logLevel' | 'logFormat' | 'logOutputs' | 'logRotation' | 'raftTraceFile'> {
  const given = flags.list('log-outputs');
  const named = given.map((output) => (output === 'default' ? 'stderr' : output));
  const outputs = named.length === 0 ? ['stderr'] : [...new Set(named)];
  return {
    logLevel: logLevels.get(flags.text('log-level')) ?? 'info',
    logFormat: flags.text('log-format') === 'console' ? 'console' : 'json',
    logOutputs: outputs,
    logRotation: readLogRotation(flags, outputs),
    raftTraceFile: flags.text('raft-trace-file'),
  };
}
