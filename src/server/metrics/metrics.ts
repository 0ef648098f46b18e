/**
 * What a node counts and measures, as plain numbers that the hot paths add to. They become
 * Prometheus text, under etcd's names where they mean the same, only when somebody scrapes
 * (metrics/registry.ts). Names, types and buckets: C-9.5.
 */

import type { MemberId } from '../../common/index.js';
import type { FeatureGate } from '../options/index.js';
import { AnswerMetrics } from './answers.js';
import type { BackupMetrics } from './backups.js';
import { CounterFamily, exponentialBuckets, Histogram, HistogramFamily } from './histogram.js';
import { PeerMetrics } from './peers.js';
import { RpcMetrics } from './rpc.js';
import { StepTimes } from './step-times.js';
import { WatchSendLoop } from './watch.js';

/** What is true now and known by the parts of the server; asked for once per scrape. */
export interface GaugeReadings {
  readonly memberId: MemberId;
  readonly hasLeader: boolean;
  readonly isLeader: boolean;
  readonly isLearner: boolean;
  readonly proposalsPending: number;
  readonly committedIndex: number;
  readonly appliedIndex: number;
  /** Infinity: no quota. */
  readonly quotaBytes: number;
  readonly dbBytes: number;
  readonly dbInUseBytes: number;
  readonly openReadTransactions: number;
  readonly revision: number;
  readonly compactRevision: number;
  readonly keys: number;
  readonly valueCacheBytes: number;
  readonly watchers: number;
  readonly watchStreams: number;
  readonly slowWatchers: number;
  readonly pendingEvents: number;
  readonly authRevision: number;
  /** Major and minor, as etcd's; undefined: not decided yet. */
  readonly clusterVersion: string | undefined;
  readonly alarms: ReadonlyArray<{ readonly memberId: MemberId; readonly name: string }>;
}

/** All of them: each is some feature's, or the node's, to tell. */
export const gaugeNames: Readonly<Record<keyof GaugeReadings, true>> = {
  memberId: true,
  hasLeader: true,
  isLeader: true,
  isLearner: true,
  proposalsPending: true,
  committedIndex: true,
  appliedIndex: true,
  quotaBytes: true,
  dbBytes: true,
  dbInUseBytes: true,
  openReadTransactions: true,
  revision: true,
  compactRevision: true,
  keys: true,
  valueCacheBytes: true,
  watchers: true,
  watchStreams: true,
  slowWatchers: true,
  pendingEvents: true,
  authRevision: true,
  clusterVersion: true,
  alarms: true,
};

const diskBuckets = exponentialBuckets(0.001, 2, 14);
const hashBuckets = exponentialBuckets(0.01, 2, 15);
const applyBuckets = exponentialBuckets(0.0001, 2, 20);
/** etcd reports clients of two or three API versions; more is somebody inventing them. */
const clientApiVersionsMax = 32;

/** One per server. Add to the fields directly. */
export class Metrics {
  /** What the links between members count. */
  readonly peers = new PeerMetrics();
  // ------------------------------------------------------------- counters, by what happened
  leaderChanges = 0;
  /** Leaders whose process was seen to have ended; see node/early-election.ts. */
  leadersGone = 0;
  /** Campaigns that did not wait for the election timeout. */
  earlyCampaigns = 0;
  /** Proposals that went into a log again, since it was certain that they were in none. */
  proposalsResent = 0;
  proposalsFailed = 0;
  heartbeatSendFailures = 0;
  slowApplies = 0;
  slowReadIndexes = 0;
  readIndexesFailed = 0;
  healthSuccesses = 0;
  healthFailures = 0;
  learnerPromotions = 0;
  rangeTotal = 0;
  putTotal = 0;
  deleteTotal = 0;
  txnTotal = 0;
  eventsTotal = 0;
  /** Bytes of keys and values put. */
  putBytesTotal = 0;
  compactedKeys = 0;
  /** Unix seconds of the end of the last compaction; 0: none. */
  lastCompactionUnixSeconds = 0;
  leasesGranted = 0;
  leasesRevoked = 0;
  leasesRenewed = 0;
  leasesExpired = 0;
  clientBytesReceived = 0;
  clientBytesSent = 0;
  walBytesWritten = 0;
  scrapes = 0;
  /** Records that were asked of the KvStore one by one, because they were not in memory. */
  coldRecords = 0;
  /** Lines of the audit that will be written, and that were not. */
  auditLines = 0;
  auditDropped = 0;
  /** Writes of it that failed; they are tried again. */
  auditWriteFailures = 0;
  /** Spans that a collector took, and that none got. */
  spansSent = 0;
  spansDropped = 0;
  /** Attempts to reach the collector that failed. */
  spanExportFailures = 0;
  /** Connections of clients that were closed because of what these did or did not do. */
  connectionsClosed = 0;

  // --------------------------------------------------------------- what is going on just now
  snapshotsBeingApplied = 0;
  defragmentsRunning = 0;
  scrapesInFlight = 0;

  // ---------------------------------------------- histograms, in the unit of the metric name
  readonly walFsync = new Histogram(diskBuckets);
  readonly walWrite = new Histogram(diskBuckets);
  readonly backendCommit = new Histogram(diskBuckets);
  readonly defragment = new Histogram(exponentialBuckets(0.1, 2, 13));
  readonly snapshot = new Histogram(exponentialBuckets(0.01, 2, 17));
  readonly snapshotFsync = new Histogram(diskBuckets);
  readonly snapshotDbFsync = new Histogram(diskBuckets);
  readonly snapshotDbSave = new Histogram(exponentialBuckets(0.1, 2, 10));
  readonly hash = new Histogram(hashBuckets);
  readonly hashRevision = new Histogram(hashBuckets);
  readonly leaseTtlSeconds = new Histogram(exponentialBuckets(1, 2, 24));
  readonly compactionPauseMs = new Histogram(exponentialBuckets(1, 2, 13));
  readonly compactionTotalMs = new Histogram(exponentialBuckets(100, 2, 14));
  readonly indexCompactionPauseMs = new Histogram(exponentialBuckets(0.5, 2, 14));

  // -------------------------------------------------------------------------- with labels
  /** version ('v3'), op ('Put'), success ('true'); seconds. */
  readonly applyDuration = new HistogramFamily(['version', 'op', 'success'], applyBuckets);
  /** success; seconds. */
  readonly rangeDuration = new HistogramFamily(['success'], applyBuckets);
  /** type ('Put'), success; seconds from arrival to reply. */
  readonly requestDuration = new HistogramFamily(['type', 'success'], diskBuckets);
  /** type ('unary', 'stream'), client_api_version ('3.7'). */
  readonly clientRequests = new CounterFamily(['type', 'client_api_version'], clientApiVersionsMax);
  /** type ('livez', 'readyz'), name, status ('success', 'error'). */
  readonly healthChecks = new CounterFamily(['type', 'name', 'status'], 100);
  /** Reason. */
  readonly learnerPromotionFailures = new CounterFamily(['Reason'], 100);
  /** endpoint ('client', 'peer'), reason: see TlsRefusalKind. */
  readonly tlsRefusals = new CounterFamily(['endpoint', 'reason'], 16);
  /** type ('refused', 'delayed'): what was above --rate-limit. */
  readonly rateLimited = new CounterFamily(['type'], 2);
  readonly answers = new AnswerMetrics();
  /** Undefined: there is no schedule. */
  backups: BackupMetrics | undefined;
  readonly rpc = new RpcMetrics();
  readonly watchSendLoop = new WatchSendLoop();
  /** No metric: for requests that are slow, or traced. */
  readonly steps = new StepTimes();
  /** Feature gates; set once. */
  features: readonly FeatureGate[] = [];

  /** Last result of each check, by `type name`. */
  readonly checkResults = new Map<string, boolean>();
  #read: (() => GaugeReadings) | undefined;

  /** Says where to ask for what is true now. */
  attach(read: () => GaugeReadings): void {
    this.#read = read;
  }

  /** Undefined before `attach`. */
  readings(): GaugeReadings | undefined {
    return this.#read?.();
  }

  // ---------------------------------------------------------- HealthObserver of http/health.ts
  health(healthy: boolean): void {
    if (healthy) this.healthSuccesses += 1;
    else this.healthFailures += 1;
  }

  check(type: 'livez' | 'readyz', name: string, healthy: boolean): void {
    this.healthChecks.inc(type, name, healthy ? 'success' : 'error');
    this.checkResults.set(`${type} ${name}`, healthy);
  }
}
