/**
 * A member without the network to its clients: the core (directory, Raft, loop) and the features on
 * it. In two phases: everything is constructed from what it needs, storage -> Raft -> loop ->
 * features, and only then started. Which features there are is not known here (member.ts).
 */

import {
  assert,
  type LogIndex,
  type MemberId,
  unlessAborted,
  untilOrAfter,
} from '../../common/index.js';
import type { Raft } from '../../raft/index.js';
import type { MvccStore, Wal } from '../../storage/index.js';
import { hasCommittedChanges } from '../bootstrap/index.js';
import type { Feature, Host } from '../feature/index.js';
import type { AlarmEntry, Alarms } from '../guard/index.js';
import type { Membership } from '../membership/index.js';
import { type GaugeReadings, gaugeNames, type Metrics } from '../metrics/index.js';
import type { ServerConfig } from '../options/index.js';
import type { PeerHello, PeerTransport } from '../peers/index.js';
import { SnapshotReceiver } from '../transfer/index.js';
import { NodeCore, type NodeOptions, openNodeStorage } from './core.js';
import { EarlyElection } from './early-election.js';
import { nodeHost } from './host.js';
import type { Leadership } from './leadership.js';
import { advanceFirstElection, applyUpTo, campaignWhenConnected, handOver } from './lifecycle.js';
import type { NodeLoop } from './loop.js';
import { type Links, restoreSteps } from './loop-events.js';
import { helloOf, MemberLinks, MemberRemovedError } from './member-links.js';
import { PeerQuestions } from './peer-questions.js';
import type { NodePorts } from './ports.js';
import type { Proposals } from './proposals.js';

/** What a member can do, in the order in which it is told of things; and more, for its maker. */
export interface MadeFeatures {
  readonly all: readonly Feature[];
}

/** Makes the features of a member. `alarm`: how alarms enter the log. */
export type MakeFeatures<Made extends MadeFeatures> = (host: Host, alarm: AlarmEntry) => Made;

/** A running member. */
export interface Node {
  readonly config: ServerConfig;
  readonly ports: NodePorts;
  readonly clusterId: bigint;
  readonly memberId: MemberId;
  /** The data directory was empty. */
  readonly isNew: boolean;
  /** Of the data directory: see PeerHello. */
  readonly incarnation: bigint;
  readonly store: MvccStore;
  readonly wal: Wal;
  readonly raft: Raft;
  readonly loop: NodeLoop;
  readonly proposals: Proposals;
  readonly alarms: Alarms;
  readonly membership: Membership;
  readonly leaderWatch: Leadership;
  readonly metrics: Metrics;
  readonly peers: PeerTransport | undefined;
  readonly host: Host;
  /** What this member says of itself to others. */
  hello(): PeerHello;
  /** For a scrape; brings the totals of Metrics up to date as well. */
  readings(): GaugeReadings;
  /**
   * Resolves when this member leads or follows, has applied the log and published itself. Rejects
   * with the reason of `signal` when that aborts; then `stop` has to be called.
   */
  start(signal?: AbortSignal): Promise<void>;
  /** Rejects if the member must not serve clients. */
  check(): Promise<void>;
  /** Clients can come: begins what is done in the background. */
  serve(): void;
  /** Ends that again. */
  retire(): void;
  /**
   * Ends waiting calls, writes everything with an fsync, and closes the files. A leader hands over
   * first, unless told not to: when all members stop there is nobody to hand over to.
   */
  stop(options?: { readonly handOver?: boolean }): Promise<void>;
}

/** etcd's --wait-cluster-ready-timeout: after this time clients are served, leader or not. */
const clusterReadyMsMax = 5000;

/**
 * Opens (or founds) the data directory. Rejects with StorageError if it can't be trusted, and with
 * the reason of the signal when that aborts; nothing stays open then.
 */
export async function openNode<Made extends MadeFeatures>(
  options: NodeOptions,
  makeFeatures: MakeFeatures<Made>,
): Promise<{ readonly node: Node; readonly made: Made }> {
  const storage = await openNodeStorage(options);
  const core = new NodeCore(options, storage);
  const host = nodeHost(core);
  const made = makeFeatures(host, core.alarmEntry);
  const features = made.all;
  core.applier.use(features);
  core.leadership.tell(features);
  const links = linksOf(core, features);
  core.events.attach(features, links);
  const { authState } = core;
  const { clock } = options.ports;
  const takes = await restoreSteps([authState, ...features], storage.store, clock);
  for (const take of takes) take();
  return { node: nodeOf(core, host, features, links), made };
}

/** Undefined: this member is alone and stays so. */
function linksOf(core: NodeCore, features: readonly Feature[]): Links | undefined {
  const { admission, config, failure, loop, metrics, ports, raft, release, sender, storage } = core;
  const { clock, logger, peers, random } = ports;
  if (peers === undefined) return undefined;
  const { memberId: self, membership, store } = storage;
  const questions = new PeerQuestions(features);
  const receiver = new SnapshotReceiver({ store, raft, loop, peers, logger, clock, release });
  const { electionMs, heartbeatMs } = config;
  const early = new EarlyElection({
    ...{ self, raft, loop, clock, random, logger, heartbeatMs, electionMs },
    counts: metrics,
  });
  const members = new MemberLinks({
    self,
    dataDir: config.dataDir,
    peers,
    loop,
    raft,
    early,
    membership,
    admission,
    receiver,
    sender,
    clock,
    logger,
    electionMs,
    answer: (from, method, body) => questions.call(from, method, body),
    onEnd: failure.tell,
  });
  return { members, receiver };
}

function nodeOf(
  core: NodeCore,
  host: Host,
  features: readonly Feature[],
  links: Links | undefined,
): Node {
  const { alarms, config, leadership, loop, metrics, ports, proposals, raft, storage } = core;
  const { clusterId, incarnation, isNew, memberId, membership, store, wal } = storage;
  return {
    config,
    ports,
    clusterId,
    memberId,
    isNew,
    incarnation,
    store,
    wal,
    raft,
    loop,
    proposals,
    alarms,
    membership,
    leaderWatch: leadership,
    metrics,
    peers: ports.peers,
    host,
    hello: () => helloOf({ clusterId, config, incarnation, memberId, membership }),
    readings: () => readingsOf(core, features),
    start: (signal) => start(core, features, links, signal),
    async check() {
      for (const feature of features) await feature.check?.();
    },
    serve() {
      for (const feature of features) feature.serve?.();
    },
    retire() {
      for (const feature of features) feature.retire?.();
    },
    stop: (options) => stop(core, features, links, options?.handOver !== false),
  };
}

async function start(
  core: NodeCore,
  features: readonly Feature[],
  links: Links | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { admission, config, loop, ports, raft, storage } = core;
  const { isNew, memberId, membership, restore } = storage;
  const { clock } = ports;
  signal?.throwIfAborted();
  if (membership.isRemoved(memberId)) throw new MemberRemovedError(memberId);
  if (hasCommittedChanges(restore)) {
    const { commit }: { readonly commit: LogIndex } = restore.hardState;
    await applyUpTo({ loop, clock, admission }, commit, signal);
  }
  await links?.members.start();
  signal?.throwIfAborted();
  loop.start();
  const { voters } = raft.status().configuration;
  // Alone there is nobody to wait for; an election timeout would only delay the start.
  if (voters.length === 1 && voters[0] === memberId) raft.campaign();
  else if (isNew && memberId === voters[0]) {
    campaignWhenConnected({ config, loop, ports, raft }, voters);
  } else if (!isNew && config.initialElectionTickAdvance) {
    advanceFirstElection({ config, loop, ports, raft }, voters);
  }
  loop.schedule();
  // Without a majority there may be no leader for long; what can be served then should be.
  const joined = Promise.all(features.map((feature) => feature.join?.())).then(() => {});
  joined.catch(() => {}); // only by stopping
  await unlessAborted(untilOrAfter(joined, clock, clusterReadyMsMax), signal);
}

async function stop(
  core: NodeCore,
  features: readonly Feature[],
  links: Links | undefined,
  handsOver: boolean,
): Promise<void> {
  const { config, loop, ports, raft, release, storage } = core;
  const { clock, logger } = ports;
  const { memberId, store, wal } = storage;
  if (handsOver) await handOver({ clock, config, logger, loop, memberId, raft });
  await links?.members.stop();
  loop.stop();
  for (const feature of features) feature.close?.();
  await loop.idle();
  await release.idle();
  await store.flushSync();
  await wal.close();
  await store.close();
}

function readingsOf(core: NodeCore, features: readonly Feature[]): GaugeReadings {
  const { leadership, loop, metrics, proposals, raft, storage } = core;
  metrics.proposalsFailed = proposals.failedTotal;
  const readings: Partial<GaugeReadings> = {
    memberId: storage.memberId,
    hasLeader: leadership.hasLeader(),
    isLeader: leadership.isLeader,
    proposalsPending: proposals.size,
    committedIndex: raft.status().commit,
    appliedIndex: loop.appliedIndex,
  };
  for (const feature of features) Object.assign(readings, feature.gauges?.());
  assert(isComplete(readings), 'somebody knows each gauge');
  return readings;
}

function isComplete(readings: Partial<GaugeReadings>): readings is GaugeReadings {
  return Object.keys(gaugeNames).every((name) => name in readings);
}
