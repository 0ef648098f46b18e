/**
 * What an empty data directory becomes: a founder of a new cluster, or a member of a running one
 * that was added there before (C-5.13). Nothing here counts once
 * the directory has a log.
 *
 * A member is founded once. If others know it as one that has already run, its data directory was
 * lost, with the votes and entries that it promised to keep: it must be removed and added anew, and
 * is not started (L-32). Whoever can't be asked now will refuse it later: see peer-admission.ts.
 */

import {
  type Disk,
  idToHex,
  kvorumVersion,
  type MemberId,
  type Network,
  type Random,
} from '../../common/index.js';
import {
  areCompatible,
  type ClusterAnswer,
  clusterQuestion,
  decodeClusterAnswer,
  foundingIdentity,
  type Member,
} from '../membership/index.js';
import {
  checkAdvertised,
  checkBootstrap,
  type Naming,
  type ServerConfig,
  UrlComparison,
  UsageError,
  verifyExitCode,
} from '../options/index.js';
import type { PeerTransport } from '../peers/index.js';
import { drawIncarnation, type NodeMetadata } from './metadata.js';
import { discoverBySrv } from './srv-discovery.js';

export interface ClusterSetupOptions extends Naming {
  readonly config: ServerConfig;
  readonly random: Random;
  /** Undefined: nobody can be asked. */
  readonly peers: Pick<PeerTransport, 'callUrl'> | undefined;
  /** See Network; for --discovery-srv. */
  readonly resolveSrv?: Network['resolveSrv'] | undefined;
}

/** etcd's times for members that found a cluster together, and for one that joins. */
const foundingTimeoutMs = 1000;
const joiningTimeoutMs = 10_000;

/** False: the data directory is empty, and {@link setUpMember} says what it should become. */
export async function isFounded(
  disk: Disk,
  config: Pick<ServerConfig, 'dataDir' | 'walDir'>,
): Promise<boolean> {
  const walDir = config.walDir === '' ? `${config.dataDir}/member/wal` : config.walDir;
  // What an interrupted founding leaves behind has another ending (L-27).
  return (await disk.list(walDir)).some((name) => name.endsWith('.wal'));
}

/**
 * For an empty data directory. Rejects with UsageError if it can't be a member now, and with the
 * reason of the signal when that aborts.
 */
export async function setUpMember(given: ClusterSetupOptions): Promise<NodeMetadata> {
  const options = { ...given, config: await discovered(given) };
  const { config } = options;
  checkBootstrap(config);
  await checkAdvertised(config, options);
  return config.initialClusterState === 'existing' ? join(options) : found(options);
}

/** The configuration, with the members that DNS names if it is to be asked. */
async function discovered({
  config,
  logger,
  resolve,
  resolveSrv,
}: ClusterSetupOptions): Promise<ServerConfig> {
  if (config.discoverySrv === undefined || resolve === undefined) return config;
  const network = { resolve, ...(resolveSrv === undefined ? {} : { resolveSrv }) };
  const initialCluster = await discoverBySrv({ ...config.discoverySrv, config, logger, network });
  return { ...config, initialCluster };
}

async function found(options: ClusterSetupOptions): Promise<NodeMetadata> {
  const { config, logger, random } = options;
  const { initialCluster, initialClusterToken, name } = config;
  const { clusterId, members } = foundingIdentity(initialCluster, initialClusterToken);
  const memberId = members.find((member) => member.name === name)?.id ?? 0n;
  const urls = otherUrls(config);
  const answers = await Promise.all(urls.map((url) => ask(options, url, foundingTimeoutMs)));
  for (const [i, answer] of answers.entries()) {
    if (answer === undefined) continue;
    if (answer.clusterId === clusterId) refuseIfKnown(answer, memberId);
    else {
      logger.warn('there is a member of another cluster at this URL', {
        url: urls[i],
        clusterId: idToHex(answer.clusterId),
        expectedClusterId: idToHex(clusterId),
      });
    }
  }
  const incarnation = drawIncarnation(random);
  return { clusterId, memberId, incarnation, joining: false, founders: members };
}

async function join(options: ClusterSetupOptions): Promise<NodeMetadata> {
  const { config, random } = options;
  const answer = await firstAnswer(options, otherUrls(config));
  const own = await findOwn(options, answer);
  refuseIfKnown(answer, own.id);
  if (config.readOnlyMember && !own.isLearner) {
    throw failure(
      `--read-only-member: member ${idToHex(own.id)} was added as one that votes. ` +
        'Remove it, and add it anew as a learner.',
    );
  }
  if (!areCompatible(kvorumVersion, answer.version)) {
    throw failure('incompatible with current running cluster');
  }
  if (answer.members.filter(({ isLearner }) => isLearner).length > config.learnersMax) {
    throw failure('membership: too many learner members in cluster');
  }
  return {
    clusterId: answer.clusterId,
    memberId: own.id,
    incarnation: drawIncarnation(random),
    joining: true,
    founders: answer.members.map(({ id, name, peerUrls, isLearner }) => {
      return { id, name: id === own.id ? config.name : name, peerUrls, isLearner };
    }),
  };
}

/** Of all other members, sorted. */
function otherUrls({ initialCluster, name }: ServerConfig): string[] {
  const others = [...initialCluster].filter(([other]) => other !== name);
  return others.flatMap(([, urls]) => urls).sort();
}

/** Undefined: nobody there, or none that can say. */
async function ask(
  { logger, peers, signal }: ClusterSetupOptions,
  url: string,
  timeoutMs: number,
): Promise<ClusterAnswer | undefined> {
  if (peers === undefined) return undefined;
  try {
    return decodeClusterAnswer(
      await peers.callUrl(url, 'cluster', clusterQuestion, timeoutMs, signal),
    );
  } catch (error) {
    signal?.throwIfAborted();
    logger.info('failed to get cluster response', {
      url,
      error: error instanceof Error ? error.message : String(error),
    });
    return undefined;
  }
}

/** One after the other, as etcd: whoever answers is right. */
async function firstAnswer(
  options: ClusterSetupOptions,
  urls: readonly string[],
): Promise<ClusterAnswer> {
  for (const url of urls) {
    const answer = await ask(options, url, joiningTimeoutMs);
    if (answer === undefined) continue;
    if (answer.members.length > 0) return answer;
  }
  throw failure(
    'cannot fetch cluster info from peer urls: ' +
      'could not retrieve cluster information from the given URLs',
  );
}

function refuseIfKnown(answer: ClusterAnswer, memberId: MemberId): void {
  const remedy =
    'Its data directory is empty: give the one it ran on as --data-dir (and --wal-dir). If that is ' +
    'lost, remove the member from the cluster, and add it anew.';
  if (answer.removed.includes(memberId)) {
    throw failure(`the member ${idToHex(memberId)} has been permanently removed from the cluster`);
  }
  const member = answer.members.find(({ id }) => id === memberId);
  if (member === undefined) return;
  if (member.clientUrls.length === 0 && member.incarnation === 0n) return;
  throw failure(`member ${idToHex(memberId)} has already been bootstrapped. ${remedy}`);
}

/** This member in the running cluster, found by its peer URLs; all others must be there, too. */
async function findOwn(options: ClusterSetupOptions, answer: ClusterAnswer): Promise<Member> {
  const { config } = options;
  const mismatch = (what: string) =>
    failure(`error validating peerURLs ${describeCluster(answer)}: ${what}`);
  const { initialCluster, name } = config;
  if (answer.members.length !== initialCluster.size) throw mismatch('member count is unequal');
  const comparison = new UrlComparison(options);
  let own: Member | undefined;
  for (const member of answer.members) {
    const match = await first(initialCluster, (urls) => comparison.areSame(urls, member.peerUrls));
    if (match === undefined) {
      throw mismatch(
        `PeerURLs: no match found for existing member (${idToHex(member.id)}, ` +
          `[${member.peerUrls.join(' ')}]), last resolver error (<nil>)`,
      );
    }
    if (match[0] === name) own = member;
  }
  if (own === undefined) throw mismatch(`no member has the peer URLs of ${name}`);
  return own;
}

/** The first member whose URLs pass; the test of one may have to wait for a name. */
async function first(
  members: ReadonlyMap<string, readonly string[]>,
  passes: (urls: readonly string[]) => Promise<boolean>,
): Promise<readonly [string, readonly string[]] | undefined> {
  for (const member of members) if (await passes(member[1])) return member;
  return undefined;
}

/** As etcd prints it. */
function describeCluster({ clusterId, members, removed }: ClusterAnswer): string {
  const list = members.map(
    ({ id, name, peerUrls, clientUrls, isLearner }) =>
      `{ID:${idToHex(id)} RaftAttributes:{PeerURLs:[${peerUrls.join(' ')}] ` +
      `IsLearner:${isLearner}} Attributes:{Name:${name} ClientURLs:[${clientUrls.join(' ')}]}}`,
  );
  const removedIds = removed.map(idToHex).join(',');
  return (
    `{ClusterID:${idToHex(clusterId)} Members:[${list.join(' ')}] ` +
    `RemovedMemberIDs:[${removedIds}]}`
  );
}

function failure(message: string): UsageError {
  return new UsageError(message, verifyExitCode);
}
