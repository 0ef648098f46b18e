/**
 * What every member has, whatever it can do: a data directory, Raft, and the loop between them. The
 * first half of its construction; features come next (node.ts).
 */

import { assert, kvorumVersion, type LogIndex } from '../../common/index.js';
import { AlarmType } from '../../proto/index.js';
import type { Raft } from '../../raft/index.js';
import type { MvccStore } from '../../storage/index.js';
import {
  type Access,
  AuthState,
  MemberAccess,
  memberCaller,
  noTokens,
  SignedTokenAccess,
  SimpleTokens,
  type Tokens,
} from '../access/index.js';
import {
  checkDirectories,
  checkForcedFounding,
  isFounded,
  type OpenedStorage,
  openStorage,
  setUpMember,
} from '../bootstrap/index.js';
import { type AlarmEntry, Alarms, alarmEntry, raisedAlarm, SpaceGuard } from '../guard/index.js';
import { PeerAdmission, removedElections } from '../membership/index.js';
import { type Metrics, meteredDisk, meteredKvStore } from '../metrics/index.js';
import type { ServerConfig } from '../options/index.js';
import { SnapshotSender } from '../transfer/index.js';
import { Applier } from './apply.js';
import type { Failure } from './failure.js';
import { Leadership } from './leadership.js';
import { NodeLoop } from './loop.js';
import { LoopEvents } from './loop-events.js';
import { memoryBudget } from './memory-budget.js';
import { openRaft } from './open-raft.js';
import { type NodePorts, requestTimeoutMs } from './ports.js';
import { Proposals } from './proposals.js';
import { RaftLogTrim } from './raft-log-trim.js';
import { ReadGate } from './read-gate.js';
import { unsyncedDisk } from './unsynced-disk.js';
import { WalRelease } from './wal-release.js';

const flushBytes = 4 * 1024 * 1024;
/** An offer of a snapshot is repeated after this time, or two elections if they are longer. */
const snapshotOfferAgainMsMin = 2000;

/** What a node is opened with. */
export interface NodeOptions {
  readonly config: ServerConfig;
  readonly ports: NodePorts;
  readonly metrics: Metrics;
  readonly failure: Failure;
  readonly signal: AbortSignal | undefined;
}

/**
 * Opens (or founds) the data directory. Rejects with StorageError if it can't be trusted, and with
 * the reason of the signal when that aborts; nothing stays open then.
 */
export async function openNodeStorage(options: NodeOptions): Promise<OpenedStorage> {
  const { config, failure, metrics, ports, signal } = options;
  const { clock, logger, peers, random, resolve, resolveSrv } = ports;
  await checkDirectories(ports.disk, config);
  const isFoundedBefore = await isFounded(ports.disk, config);
  if (config.forceNewCluster && !isFoundedBefore) checkForcedFounding(config, logger);
  const founding = isFoundedBefore
    ? undefined
    : await setUpMember({ config, random, clock, logger, peers, resolve, resolveSrv, signal });
  signal?.throwIfAborted();
  const budget = memoryBudget(ports.memory?.bytes, config.valueCacheBytes);
  return openStorage({
    ...ports,
    disk: meteredDisk(config.unsafeNoFsync ? unsyncedDisk(ports.disk) : ports.disk, clock, metrics),
    openKvStore: meteredKvStore(ports.openKvStore, clock, metrics),
    dataDir: config.dataDir,
    walDir: config.walDir,
    walSegmentBytes: ports.tuning?.walSegmentBytes,
    founding,
    forceNewCluster: config.forceNewCluster,
    mvcc: {
      cacheBytesMax: budget.valueCacheBytes,
      flushIntervalMs: config.flushIntervalMs,
      flushBytes,
      flushRecords: config.flushRecords,
      unflushedBytesMax: budget.unflushedBytes,
      compactionBatch: config.compactionBatch,
      compactionSleepMs: config.compactionSleepMs,
    },
    catchUpEntries: config.snapshotCatchUpEntries,
    onFatal: failure.tell,
    signal,
  });
}

/** Raft on what was opened, and the loop between the two. Nothing runs yet. */
export class NodeCore {
  readonly config: ServerConfig;
  readonly ports: NodePorts;
  readonly metrics: Metrics;
  readonly failure: Failure;
  readonly storage: OpenedStorage;
  readonly requestTimeoutMs: number;
  readonly raft: Raft;
  readonly leadership: Leadership;
  readonly alarms = new Alarms();
  readonly authState: AuthState;
  readonly tokens: Tokens;
  readonly access: Access;
  readonly admission: PeerAdmission;
  readonly proposals: Proposals;
  readonly release: WalRelease;
  readonly sender: SnapshotSender;
  readonly events: LoopEvents;
  readonly space: SpaceGuard;
  readonly alarmEntry: AlarmEntry;
  readonly applier: Applier;
  readonly loop: NodeLoop;

  constructor({ config, failure, metrics, ports }: NodeOptions, storage: OpenedStorage) {
    const { clock, logger, random } = ports;
    const { memberId: self, membership, restore, store, wal } = storage;
    const { electionMs } = config;
    this.config = config;
    this.ports = ports;
    this.metrics = metrics;
    this.failure = failure;
    this.storage = storage;
    const timeoutMs = requestTimeoutMs(ports.tuning, electionMs);
    this.requestTimeoutMs = timeoutMs;
    const raft = openRaft(config, ports, self, restore, timeoutMs);
    this.raft = raft;
    this.leadership = new Leadership({
      raft,
      id: self,
      clock,
      logger,
      electionMs,
      counts: metrics,
    });
    this.alarms.restore(store);
    this.authState = new AuthState(clock);
    this.tokens = tokensOf(config, ports, store, this.authState, timeoutMs);
    this.access = new MemberAccess({
      state: this.authState,
      tokens: this.tokens,
      byCertificate: config.clientCertAuth,
      logger,
    });
    this.authState.listen(this.tokens);
    this.admission = admissionOf(config, ports, storage);
    this.proposals = new Proposals({ clock, origin: random.u32(), timeoutMs });
    const contextOrigin = random.u32();
    const { applied } = restore;
    const reads = new ReadGate({ raft, clock, timeoutMs, applied, contextOrigin, counts: metrics });
    const releasing = { store, wal, clock, logger, entriesMin: config.snapshotCount };
    this.release = new WalRelease({ ...releasing, onFatal: failure.tell }, restore.snapshot.index);
    const logTrim = logTrimOf(config, ports, raft, applied);
    const offerAgainMs = Math.max(snapshotOfferAgainMsMin, 2 * electionMs);
    this.sender = new SnapshotSender({ store, raft, logTrim, clock, offerAgainMs });
    this.events = new LoopEvents({
      self,
      electionMs,
      clock,
      store,
      membership,
      alarms: this.alarms,
      authState: this.authState,
      tokens: this.tokens,
      leaderWatch: this.leadership,
      release: this.release,
      logTrim,
      sender: this.sender,
      peers: ports.peers,
      unflushedBytesMax: memoryBudget(ports.memory?.bytes, 0).unflushedBytes,
    });
    const { proposals } = this;
    const { quotaBytes, slowApplyMs } = config;
    this.alarmEntry = alarmEntry(this.alarms);
    const raise = (done: () => void): void => this.#raiseNoSpace(done);
    this.space = new SpaceGuard({ alarms: this.alarms, store, quotaBytes, raise });
    const { access } = this;
    const applying = { self, store, raft, membership, proposals, metrics, clock, logger, access };
    const onRemovedSelf = this.events.removedSelf;
    this.applier = new Applier({ ...applying, space: this.space, slowApplyMs, onRemovedSelf });
    this.loop = new NodeLoop({
      ...{ id: self, raft, wal, applier: this.applier, proposals, reads, clock, logger },
      ...{ tickMs: config.heartbeatMs, counts: metrics, onFatal: failure.tell },
      ...this.events.duties(),
    });
    failure.stops(this.loop);
  }

  #raiseNoSpace(done: () => void): void {
    const { request, data } = raisedAlarm(
      this.storage.memberId,
      AlarmType.NOSPACE,
      memberCaller(this.access),
    );
    this.loop.propose(data, request, done, undefined, 0, this.alarmEntry.isUrgent);
  }
}

function tokensOf(
  { authToken, authTokenTtlMs: ttlMs }: ServerConfig,
  { clock, random, signedTokens }: NodePorts,
  store: MvccStore,
  state: AuthState,
  timeoutMs: number,
): Tokens {
  if (authToken.kind === 'none') return noTokens;
  if (authToken.kind === 'jwt') {
    assert(signedTokens !== undefined, 'with keys for tokens comes what makes them');
    return new SignedTokenAccess(signedTokens, clock);
  }
  const appliedIndex = (): LogIndex => store.applied.index;
  const authRevision = (): number => state.revision;
  return new SimpleTokens({ clock, random, ttlMs, timeoutMs, appliedIndex, authRevision });
}

function admissionOf(
  { electionMs }: ServerConfig,
  { clock }: NodePorts,
  { clusterId, memberId: self, membership }: OpenedStorage,
): PeerAdmission {
  const graceMs = removedElections * electionMs;
  return new PeerAdmission({ clusterId, self, version: kvorumVersion, membership, clock, graceMs });
}

function logTrimOf(
  { snapshotCatchUpEntries: catchUpEntries }: ServerConfig,
  { clock, memory, tuning }: NodePorts,
  raft: Raft,
  applied: LogIndex,
): RaftLogTrim {
  const keepBytesMax = memoryBudget(memory?.bytes, 0).logKeepBytes;
  const { lookEntries } = tuning ?? {};
  return new RaftLogTrim({ raft, clock, catchUpEntries, lookEntries, keepBytesMax }, applied);
}
