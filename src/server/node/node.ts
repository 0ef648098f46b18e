/**
 * One member: its storage, its Raft, and the state machines that entries change, joined by the
 * loop. No sockets here; server.ts puts those around it.
 */

import {
  type Clock,
  type Disk,
  type ErrorReason,
  grpcOverheadBytes,
  type Logger,
  type MemberId,
  type Network,
  type OpenKvStore,
  present,
  type Random,
  unlessAborted,
} from '../../common/index.js';
import {
  AlarmAction,
  AlarmType,
  alarmRequest,
  encodeCompactionRequest,
  encodeLeaseCheckpoints,
  encodeLeaseRevokeRequest,
  HeaderEncoder,
} from '../../proto/index.js';
import { Raft, type RaftRestore } from '../../raft/index.js';
import type { MvccStore, Wal } from '../../storage/index.js';
import { checkDirectories, explainFatal } from '../bootstrap/data-dir.js';
import { checkForcedFounding, hasCommittedChanges } from '../bootstrap/force-new-cluster.js';
import { openStorage } from '../bootstrap/open-storage.js';
import { isFounded, setUpMember } from '../bootstrap/setup.js';
import { EntryKind, newEntry } from '../feature/entry.js';
import { Alarms } from '../guard/alarms.js';
import { Lessor } from '../lease/lessor.js';
import type { Membership } from '../membership/membership.js';
import { meteredDisk, meteredKvStore } from '../metrics/metered-ports.js';
import type { Metrics } from '../metrics/metrics.js';
import type { ServerConfig } from '../options/config.js';
import type { PeerTransport } from '../peers/types.js';
import { SnapshotReceiver, SnapshotSender } from '../transfer/snapshot-transfer.js';
import { defaultWatchLimits, WatchHub } from '../watch/hub.js';
import { Applier } from './apply.js';
import { LeaderWatch } from './leadership.js';
import {
  applyUpTo,
  campaignWhenConnected,
  handOver,
  publishSelf,
  untilOrAfter,
} from './lifecycle.js';
import { NodeLoop } from './loop.js';
import { MemberLinks, MemberRemovedError } from './member-links.js';
import { type MemberParts, memberParts } from './member-parts.js';
import { Proposals } from './proposals.js';
import { LogKeeper } from './raft-log-trim.js';
import { ReadGate } from './read-gate.js';
import { timeoutReason } from './timeout-reason.js';
import { LogRelease } from './wal-release.js';

/** What a node needs of the outside; the network is the server's business. */
export interface NodePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly openKvStore: OpenKvStore;
  readonly logger: Logger;
  /** See Network; without it host names are only compared as they are. */
  readonly resolve?: Network['resolve'];
  /** The links to other members; without them the cluster is one member and stays so. */
  readonly peers?: PeerTransport;
  /** For simulations: see {@link NodeTuning}. */
  readonly tuning?: Partial<NodeTuning>;
}

/** Bounds that have one good value in production; small ones make rare things frequent. */
export interface NodeTuning {
  /** See RaftOptions. */
  readonly appendBytesMax: number;
  readonly inflightAppendsMax: number;
  readonly applyBytesMax: number;
  /** See LogKeeperOptions. */
  readonly lookEntries: number;
  /** See WalOptions. */
  readonly walSegmentBytes: number;
  /** What a request timeout is beside two election timeouts. */
  readonly requestTimeoutBaseMs: number;
}

/** A running member. */
export interface Node extends MemberParts {
  readonly config: ServerConfig;
  readonly ports: NodePorts;
  readonly clusterId: bigint;
  readonly memberId: MemberId;
  /** The data directory was empty. */
  readonly isNew: boolean;
  readonly store: MvccStore;
  readonly wal: Wal;
  readonly raft: Raft;
  readonly loop: NodeLoop;
  readonly reads: ReadGate;
  readonly headers: HeaderEncoder;
  readonly proposals: Proposals;
  readonly alarms: Alarms;
  readonly membership: Membership;
  readonly lessor: Lessor;
  readonly watchHub: WatchHub;
  readonly leaderWatch: LeaderWatch;
  readonly metrics: Metrics;
  /** Of the data directory: see PeerHello. */
  readonly incarnation: bigint;
  /** Undefined, or why a request that adds so much must not be proposed. */
  spaceFor(costBytes: number): ErrorReason | undefined;
  /** Puts an entry of our own into the log. */
  proposeOwn(
    kind: EntryKind,
    body: Uint8Array,
    request: unknown,
    done: (error: Error | undefined) => void,
  ): void;
  /** Compacts, as a client would. */
  compact(revision: number, done: (error: Error | undefined) => void): void;
  /**
   * Resolves when this member leads or follows, has applied the log and published itself. Rejects
   * with the reason of `signal` when that aborts; then `stop` has to be called.
   */
  start(signal?: AbortSignal): Promise<void>;
  /**
   * Ends waiting calls, writes everything with an fsync, and closes the files. A leader hands over
   * first, unless told not to: when all members stop there is nobody to hand over to.
   */
  stop(options?: { readonly handOver?: boolean }): Promise<void>;
}

/** Memory for records beside those not yet flushed. */
const cacheBytesMax = 64 * 1024 * 1024;
const flushBytes = 4 * 1024 * 1024;
/** Records waiting for LevelDB above which proposals wait: the disk is slower than the clients. */
const unflushedBytesMax = 256 * 1024 * 1024;
/** An offer of a snapshot is repeated after this time, or two elections if they are longer. */
const snapshotOfferAgainMsMin = 2000;
/** etcd's --wait-cluster-ready-timeout: after this time clients are served, leader or not. */
const clusterReadyMsMax = 5000;
/** etcd: 5 s for the disk and two elections. */
const requestTimeoutBaseMs = 5000;

/**
 * Opens (or founds) the data directory. Rejects with StorageError if it can't be trusted, and with
 * the reason of `signal` when that aborts; nothing stays open then.
 */
export async function openNode(
  config: ServerConfig,
  ports: NodePorts,
  metrics: Metrics,
  reportFatal: (error: unknown) => void,
  signal?: AbortSignal,
): Promise<Node> {
  const { clock, random, logger, peers } = ports;
  await checkDirectories(ports.disk, config);
  const isFoundedBefore = await isFounded(ports.disk, config);
  if (config.forceNewCluster && !isFoundedBefore) checkForcedFounding(config, logger);
  const founding = isFoundedBefore
    ? undefined
    : await setUpMember({ config, random, clock, logger, peers, resolve: ports.resolve, signal });
  signal?.throwIfAborted();
  let stopLoop = (): void => {};
  // Nothing may be acknowledged after a failed write, not even by the half that still works.
  const onFatal = (error: unknown): void => {
    stopLoop();
    reportFatal(explainFatal(error, config.dataDir));
  };
  const storage = await openStorage({
    ...ports,
    disk: meteredDisk(ports.disk, clock, metrics),
    openKvStore: meteredKvStore(ports.openKvStore, clock, metrics),
    dataDir: config.dataDir,
    walDir: config.walDir,
    walSegmentBytes: ports.tuning?.walSegmentBytes,
    founding,
    forceNewCluster: config.forceNewCluster,
    mvcc: {
      cacheBytesMax,
      flushIntervalMs: config.flushIntervalMs,
      flushBytes,
      unflushedBytesMax,
      compactionBatch: config.compactionBatch,
      compactionSleepMs: config.compactionSleepMs,
    },
    catchUpEntries: config.snapshotCatchUpEntries,
    onFatal,
    signal,
  });
  const { store, wal, membership, clusterId, memberId, isNew, restore } = storage;
  const timeoutMs =
    (ports.tuning?.requestTimeoutBaseMs ?? requestTimeoutBaseMs) + 2 * config.electionMs;
  const raft = makeRaft(config, ports, memberId, restore, timeoutMs);
  const headers = new HeaderEncoder(clusterId, memberId);
  const proposals = new Proposals({ clock, origin: random.u32(), timeoutMs });
  const reads = new ReadGate({
    raft,
    clock,
    timeoutMs,
    applied: restore.applied,
    contextOrigin: random.u32(),
    counts: metrics,
  });
  const alarms = new Alarms();
  alarms.restore(store);
  const release = new LogRelease(
    { store, wal, clock, logger, entriesMin: config.snapshotCount, onFatal },
    restore.snapshot.index,
  );
  const watchHub = new WatchHub({
    store,
    clock,
    random,
    header: (revision) => headers.header(revision, raft.term),
    limits: {
      ...defaultWatchLimits,
      fragmentBytes: config.requestBytesMax + grpcOverheadBytes,
      progressIntervalMs: config.watchProgressIntervalMs,
    },
    sendLoop: metrics.watchSendLoop,
    fatal: onFatal,
  });
  const lessor = new Lessor({
    clock,
    ttlSecondsMin: Math.ceil((1.5 * config.electionMs) / 1000),
    checkpoints: config.leaseCheckpoints,
    proposeRevoke: (id, term) => {
      const body = encodeLeaseRevokeRequest({ id });
      loop.propose(newEntry(EntryKind.leaseRevoke, body), { id }, countExpired, metrics, term);
    },
    proposeCheckpoints: (checkpoints, term) => {
      const body = encodeLeaseCheckpoints(checkpoints);
      const entry = newEntry(EntryKind.leaseCheckpoint, body);
      loop.propose(entry, checkpoints, ignoreOutcome, undefined, term);
    },
  });
  lessor.restore(store);
  const leaderWatch = new LeaderWatch({
    raft,
    id: memberId,
    clock,
    logger,
    electionMs: config.electionMs,
    onGained: () => lessor.promote(raft.term, config.electionMs),
    onLost: () => lessor.demote(),
    onChange: () => {
      metrics.leaderChanges++;
    },
  });
  let raisingNoSpace = false;
  const raiseNoSpace = (): void => {
    if (raisingNoSpace || alarms.noSpace) return;
    raisingNoSpace = true;
    const request = { action: AlarmAction.ACTIVATE, memberId, alarm: AlarmType.NOSPACE };
    proposeOwn(EntryKind.alarm, alarmRequest.encode(request), request, () => {
      raisingNoSpace = false;
    });
  };
  const applier = new Applier({
    self: memberId,
    onRemovedSelf: () => links?.removedSelf(),
    store,
    raft,
    lessor,
    watchHub,
    alarms,
    membership,
    proposals,
    metrics,
    clock,
    logger,
    slowApplyMs: config.slowApplyMs,
    quotaBytes: config.quotaBytes,
    onQuotaExceeded: raiseNoSpace,
  });
  const catchUpEntries = config.snapshotCatchUpEntries;
  const lookEntries = ports.tuning?.lookEntries;
  const keeper = new LogKeeper({ raft, clock, catchUpEntries, lookEntries }, restore.applied);
  const offerAgainMs = Math.max(snapshotOfferAgainMsMin, 2 * config.electionMs);
  const sender = new SnapshotSender({ store, raft, keeper, clock, offerAgainMs });
  const loop = new NodeLoop({
    id: memberId,
    raft,
    wal,
    applier,
    proposals,
    reads,
    clock,
    logger,
    tickMs: config.heartbeatMs,
    send: (messages) => {
      sender.sending(messages);
      peers?.send(messages);
    },
    install: (snapshot): Promise<void> =>
      present(receiver, 'the one who received it').install(snapshot, () => {
        membership.restore(store, []);
        alarms.restore(store);
        lessor.restore(store);
        watchHub.syncAfterRestore();
      }),
    onFatal,
    onTick: () => {
      leaderWatch.tick();
      sender.tick();
    },
    onReady: () => leaderWatch.update(),
    onApplied: (index, bytesTotal) => {
      release.applied(index);
      keeper.applied(index, bytesTotal);
    },
    timeoutReason: (startMs) =>
      timeoutReason(
        { self: memberId, electionMs: config.electionMs, leaderWatch, membership, peers },
        startMs,
      ),
    overloaded: () => store.unflushedBytes > unflushedBytesMax,
  });
  stopLoop = () => loop.stop();
  const receiver: SnapshotReceiver | undefined =
    peers === undefined
      ? undefined
      : new SnapshotReceiver({ store, raft, loop, peers, logger, clock, release });
  const parts = memberParts({
    config,
    clusterId,
    memberId,
    clock,
    logger,
    store,
    raft,
    loop,
    reads,
    membership,
    alarms,
    lessor,
    peers,
    requestTimeoutMs: timeoutMs,
  });
  const links =
    peers === undefined || receiver === undefined
      ? undefined
      : new MemberLinks({
          self: memberId,
          dataDir: config.dataDir,
          peers,
          loop,
          raft,
          membership,
          admission: parts.admission,
          receiver,
          sender,
          clock,
          logger,
          electionMs: config.electionMs,
          answer: (from, method, body) => parts.questions.call(from, method, body),
          onEnd: onFatal,
        });
  function proposeOwn(
    kind: EntryKind,
    body: Uint8Array,
    request: unknown,
    done: (error: Error | undefined) => void,
  ): void {
    loop.propose(newEntry(kind, body), request, finishOwn, done);
  }
  const node: Node = {
    config,
    ports,
    clusterId,
    memberId,
    isNew,
    store,
    wal,
    raft,
    loop,
    reads,
    headers,
    proposals,
    alarms,
    membership,
    lessor,
    watchHub,
    leaderWatch,
    metrics,
    incarnation: storage.incarnation,
    ...parts,
    proposeOwn,
    spaceFor(costBytes) {
      // As at apply, where CORRUPT comes first.
      if (alarms.corrupt) return 'CORRUPT';
      if (alarms.noSpace) return 'NO_SPACE';
      if (store.sizeBytes + costBytes < config.quotaBytes) return undefined;
      raiseNoSpace();
      return 'NO_SPACE';
    },
    compact(revision, done) {
      const request = { revision, physical: false };
      proposeOwn(EntryKind.compaction, encodeCompactionRequest(request), request, done);
    },
    async start(signal) {
      signal?.throwIfAborted();
      if (membership.isRemoved(memberId)) throw new MemberRemovedError(memberId);
      if (hasCommittedChanges(restore)) await applyUpTo(node, restore.hardState.commit, signal);
      await links?.start();
      signal?.throwIfAborted();
      loop.start();
      const { voters } = raft.status().configuration;
      // Alone there is nobody to wait for; an election timeout would only delay the start.
      if (voters.length === 1 && voters[0] === memberId) raft.campaign();
      else if (isNew && memberId === voters[0]) campaignWhenConnected(node, voters);
      loop.schedule();
      // Without a majority there may be no leader for long; what can be served then should be.
      const published = publishSelf(node);
      published.catch(() => {}); // only by stopping
      await unlessAborted(untilOrAfter(published, clock, clusterReadyMsMax), signal);
    },
    async stop(options) {
      if (options?.handOver !== false) await handOver(node);
      await links?.stop();
      loop.stop();
      lessor.demote();
      // Before the store: catching up reads from it.
      watchHub.close();
      await loop.idle();
      await release.idle();
      await store.flushSync();
      await wal.close();
      await store.close();
    },
  };
  return node;
}

/** The lessor tries again by itself if it failed. */
function countExpired(metrics: Metrics, _request: unknown, error: Error | undefined): void {
  if (error === undefined) metrics.leasesExpired++;
}

/** The lessor tries again by itself. */
function ignoreOutcome(): void {}

function finishOwn(
  done: (error: Error | undefined) => void,
  _request: unknown,
  error: Error | undefined,
): void {
  done(error);
}

function makeRaft(
  config: ServerConfig,
  { clock, random, tuning }: NodePorts,
  id: MemberId,
  restore: RaftRestore,
  requestTimeoutMs: number,
): Raft {
  return new Raft(
    {
      id,
      electionTimeoutTicks: Math.max(2, Math.round(config.electionMs / config.heartbeatMs)),
      heartbeatTicks: 1,
      preVote: config.preVote,
      checkQuorum: true,
      // Together less than a link's queue holds: what finds no room there is sent again.
      appendBytesMax: 128 * 1024,
      inflightAppendsMax: 100,
      uncommittedBytesMax: 256 * 1024 * 1024,
      applyBytesMax: 16 * 1024 * 1024,
      ...tuning,
      randomU32: () => random.u32(),
      // Nothing that can still be answered in time was sent longer ago.
      forwardAge: { nowMs: () => clock.nowMs(), maxMs: requestTimeoutMs },
    },
    restore,
  );
}
