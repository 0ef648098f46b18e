/**
 * `kvorum join URL [server flags]`: a server that makes itself a member of the cluster at URL. It
 * asks for the members, adds itself as a learner, starts with the right --initial-cluster, catches
 * up, and is promoted; with --read-only-member it stays a learner.
 *
 * Each step looks at what there is first: the data directory, then the cluster. So whatever ended
 * an earlier run, the same line goes on; once the server has data it is an ordinary start.
 */

import { type Logger, onAbort } from '../../common/index.js';
import {
  type ClusterCalls,
  CommandError,
  type CtlIo,
  clientOf,
  clusterCalls,
  ensureMember,
  globalFlags,
  type LearnerSteps,
  LineError,
  type Member,
  parseLine,
  promoted,
  started,
  withEnvironment,
  withUrls,
} from '../../ctl/index.js';
import { isFounded, nodeDisk, type ServerConfig, UsageError } from '../../server/index.js';
import type { CommandIo, ExitStatus } from '../command-io.js';
import { runServerCommand, type StartNode } from '../server/index.js';
import { readJoinLine } from './line.js';

export interface JoinIo {
  /** Of the server. */
  readonly server: CommandIo;
  /** Of the client that asks the cluster. */
  readonly client: CtlIo;
}

/** For each step: a learner may have a whole store to fetch. */
const waitMs = 3_600_000;

const usage = `Usage: kvorum join URL [flags of a client] [flags of a server]

Starts a server that becomes a member of the cluster at URL, where one of its members (or several,
comma separated) serves clients. It is added as a learner, catches up, and is promoted; with
--read-only-member it stays a learner. Run the same line again after whatever ended it.

Needed in most cases: --name, --data-dir, --listen-peer-urls, --initial-advertise-peer-urls,
--listen-client-urls, --advertise-client-urls (kvorum --help). The client's flags are those of
etcdctl: --cacert --cert --key --insecure-skip-tls-verify --user --password --auth-jwt-token
--dial-timeout --command-timeout, and their ETCDCTL_ variables.
`;

/** Runs until the server has stopped; resolves with how the process should end. */
export async function runJoinCommand(
  words: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  io: JoinIo,
  start: StartNode,
): Promise<ExitStatus> {
  let line: ReturnType<typeof readJoinLine>;
  let cluster: Awaited<ReturnType<typeof clientFor>>;
  try {
    line = readJoinLine(words);
    if (line.help) {
      io.server.stdout(usage);
      return 0;
    }
    cluster = await clientFor(line, io.client);
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof CommandError)) throw error;
    io.server.stderr(`kvorum: ${error.message}\n`);
    return 2;
  }
  try {
    const calls = clusterCalls(cluster);
    return await runServerCommand(line.server, env, io.server, joining(calls, start));
  } finally {
    await cluster.close();
  }
}

async function clientFor(line: ReturnType<typeof readJoinLine>, io: CtlIo) {
  try {
    const read = parseLine(line.client, globalFlags);
    const flags = read.flags as unknown as Parameters<typeof withEnvironment>[0];
    const { isSet, values } = withEnvironment(flags, read.isSet, io.env);
    return await clientOf({ ...values, endpoints: line.endpoints }, isSet, io);
  } catch (error) {
    throw error instanceof LineError ? new UsageError(error.message) : error;
  }
}

/** Starts the server as a member; what it still needs to become a voter goes on beside it. */
export function joining(calls: ClusterCalls, start: StartNode): StartNode {
  return async (config, logger, signal) => {
    const ending = new AbortController();
    onAbort(signal, () => ending.abort());
    const steps: LearnerSteps = {
      ...{ calls, waitMs, interrupted: ending.signal },
      tell: onChange((line) => logger.info(`join: ${line}`)),
    };
    const isFirst = !(await isFounded(nodeDisk, config));
    const node = isFirst
      ? await firstStart(config, steps, (as) => start(as, logger, signal))
      : await start(config, logger, signal);
    if (!config.readOnlyMember) void vote(steps, config, logger);
    return {
      ...{ clientUrls: node.clientUrls, isNewData: node.isNewData, failed: node.failed },
      rereadFiles: () => node.rereadFiles(),
      stop() {
        ending.abort();
        return node.stop();
      },
    };
  };
}

/** Starts it with the members that there are, and again with those that there are by then. */
async function firstStart<Node>(
  config: ServerConfig,
  steps: LearnerSteps,
  start: (config: ServerConfig) => Promise<Node>,
): Promise<Node> {
  for (let left = listTries; ; left -= 1) {
    const joined = await asMember(config, steps);
    try {
      return await start(joined);
    } catch (error) {
      const message = error instanceof UsageError ? error.message : '';
      const isStale = staleList.some((text) => message.startsWith(text));
      if (!isStale || left <= 0 || steps.interrupted.aborted) throw error;
      steps.tell('the members have changed meanwhile, asking once more');
      await steps.calls.sleep(listPauseMs);
    }
  }
}

/** Another one joined at the same time: whom the start asks knows others than the list has. */
const staleList = ['error validating peerURLs', 'cannot fetch cluster info from peer urls'];
const listTries = 20;
const listPauseMs = 500;

/** The configuration of a member that the cluster knows. Rejects with UsageError. */
async function asMember(config: ServerConfig, steps: LearnerSteps): Promise<ServerConfig> {
  const { advertisePeerUrls, dataDir, name } = config;
  try {
    const own = await ensureMember(steps, advertisePeerUrls);
    if (own.name !== '') {
      throw new UsageError(
        `the cluster has a member ${own.name} with the peer URL ${own.peerUrls.join(',')}, and its ` +
          `data is not in ${dataDir}. Give the directory that it ran on as --data-dir; if that is ` +
          'lost, replace it: kvorum member replace',
      );
    }
    const members = await steps.calls.members();
    const present = members.some(({ id }) => id === own.id) ? members : [...members, own];
    return {
      ...config,
      initialCluster: initialCluster(present, own, name),
      initialClusterState: 'existing',
      discoverySrv: undefined,
    };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(error instanceof Error ? error.message : String(error), 1);
  }
}

/** Only URLs are compared; a name may be another member's, too, so the others have their ids. */
function initialCluster(
  members: readonly Member[],
  own: Member,
  name: string,
): ReadonlyMap<string, readonly string[]> {
  return new Map(
    members.map(({ id, peerUrls }) => [id === own.id ? name : `member-${id}`, peerUrls] as const),
  );
}

/** The leader may do it first; what fails here leaves a learner, which says so, and serves. */
async function vote(steps: LearnerSteps, config: ServerConfig, logger: Logger): Promise<void> {
  try {
    const own = withUrls(await steps.calls.members(), config.advertisePeerUrls);
    if (own?.isLearner !== true) return;
    await promoted(steps, await started(steps, own.id));
  } catch (error) {
    if (steps.interrupted.aborted) return;
    const message = error instanceof Error ? error.message : String(error);
    logger.warn('join: this member is a learner still', { error: message });
  }
}

function onChange(tell: (line: string) => void): (line: string) => void {
  let last = '';
  return (line) => {
    if (line !== last) tell(line);
    last = line;
  };
}
