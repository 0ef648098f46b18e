/**
 * Puts sockets around a node: gRPC and HTTP on the client URLs, metrics where they are wanted. No
 * decisions here: just which part gets which other part, and the order of start and stop.
 */

import {
  type Clock,
  type ErrorReason,
  etcdVersion,
  grpcOverheadBytes,
  idToHex,
  type Listener,
  type MemberId,
  type Network,
  type NetworkAddress,
  onAbort,
  present,
  storageVersion,
  unlessAborted,
} from '../common/index.js';
import {
  createGrpcServer,
  type GrpcServer,
  type Http1Acceptor,
  type HttpHandler,
  type MethodHandler,
  transportLimitsDefault,
} from '../transport/index.js';
import { authMethods } from './auth/rpc.js';
import { clusterMethods } from './cluster/rpc.js';
import { learnerGated } from './guard/learner.js';
import { healthSource, metricsReadings } from './http/readings.js';
import { createHttpHandler, type HttpRoutesOptions } from './http/routes.js';
import { AutoCompactor } from './kv/auto-compaction.js';
import { rangeStreamMethod } from './kv/range-stream.js';
import { kvMethods } from './kv/rpc.js';
import { leaseMethods } from './lease/rpc.js';
import { leaseService } from './lease/service.js';
import { maintenanceMethods } from './maintenance/rpc.js';
import { snapshotMethod } from './maintenance/rpc-snapshot.js';
import { meteredNetwork } from './metrics/metered-ports.js';
import { Metrics } from './metrics/metrics.js';
import { SlowLog } from './metrics/slow-log.js';
import { helloOf } from './node/member-links.js';
import { type Node, type NodePorts, openNode } from './node/node.js';
import type { ServerConfig } from './options/config.js';
import type { PortTls } from './options/config-tls.js';
import { canonicalHost } from './options/same-urls.js';
import type { ServerUrl } from './options/urls.js';
import { createPeerTransport } from './peers/transport.js';
import { tlsRefusals } from './platform/tls-refusals.js';
import { renewedTls } from './platform/tls-renewal.js';
import type { RpcContext } from './rpc/context.js';
import { healthMethods } from './rpc/health.js';
import { callObserver, countedMethods } from './rpc/metering.js';
import { watchHandler } from './watch/rpc.js';

/** Everything outside: real ones in `ports/`, simulated ones in common/sim. */
export interface ServerPorts extends NodePorts {
  readonly network: Network;
  /** Between members, if that is another one. */
  readonly peerNetwork?: Network;
  /** HTTP/1.1 on the client ports; without it they speak HTTP/2 only. */
  readonly createHttp1?: (handler: HttpHandler) => Http1Acceptor;
  /** The text of /metrics. */
  readonly metricsText: (
    metrics: Metrics,
  ) => () => Promise<{ readonly body: string; readonly contentType: string }>;
  /** Ends what the ports do by themselves; called once the server has stopped. */
  readonly close?: () => void;
}

export interface RunningServer {
  readonly clusterId: bigint;
  readonly memberId: MemberId;
  /** The data directory was empty at start. */
  readonly isNewData: boolean;
  /** Where clients can connect: the listen URLs, their ports filled in. */
  readonly clientUrls: readonly string[];
  /** Number of members when it started. */
  readonly members: number;
  readonly node: Node;
  /** Resolves with what ended the server, if it was not `stop`: the process should end. */
  readonly failed: Promise<unknown>;
  /** Lets running calls end (for a while), then closes everything; all data are synced. */
  stop(options?: { readonly handOver?: boolean }): Promise<void>;
}

/** How long a graceful stop waits for calls that are still running. */
const drainMsMax = 2000;

export interface StartOptions {
  /** Gives up the start. To stop a server that has started there is `stop`. */
  readonly signal?: AbortSignal;
}

/**
 * Starts a member; resolves once it serves. Rejects with StorageError for a data directory that
 * can't be trusted, with the socket's error if a URL can't be listened on, and with the reason of
 * `signal` when that aborts. Whenever it rejects, nothing is left open and nothing goes on.
 */
export async function startServer(
  config: ServerConfig,
  ports: ServerPorts,
  options: StartOptions = {},
): Promise<RunningServer> {
  const { clock, logger } = ports;
  // Ends the start; nobody aborts it any more once that is over.
  const starting = new AbortController();
  const { signal } = starting;
  const takeBack = onAbort(options.signal, () => starting.abort(options.signal?.reason));
  let report: (error: unknown) => void = () => {};
  const failed = new Promise<unknown>((resolve) => {
    report = resolve;
  });
  let hasStarted = false;
  const fail = (error: unknown): void => {
    report(error);
    if (!hasStarted) starting.abort(error);
  };
  const metrics = new Metrics();
  metrics.features = config.featureGates;
  const network = meteredNetwork(ports.network, metrics);
  const { slowRequestMs } = config;
  const observe = callObserver({ metrics, clock, logger, slowRequestMs });
  const clientTls = liveTls('client', config.clientTls, ports, metrics);
  const closings = new SlowLog(clock, logger);
  const onClosed = (address: string, reason: string): void => {
    metrics.connectionsClosed += 1;
    closings.warn('closed the connection of a client', { address, reason });
  };
  const links = peerLinks(config, ports, metrics);
  const resolve = (host: string) => (ports.peerNetwork ?? ports.network).resolve(host);
  const outside = { ...ports, resolve, peers: links.peers };
  const node = await openNode(config, outside, metrics, fail, signal).catch((error: unknown) => {
    takeBack();
    throw error;
  });
  links.introduce(node);
  metrics.attach(() => metricsReadings(node));
  logger.info(node.isNew ? 'founded a new data directory' : 'opened the data directory', {
    clusterId: node.clusterId,
    localMemberId: node.memberId,
    members: node.membership.list().length,
  });
  const rpc = rpcContext(node);
  const methods = countedMethods(allMethods(rpc, node), metrics);
  const routes: HttpRoutesOptions = {
    health: healthSource(rpc, node),
    observer: metrics,
    versions: () => {
      const { version: cluster } = node.clusterVersion;
      return { server: etcdVersion, cluster, storage: storageVersion };
    },
    metrics: ports.metricsText(metrics),
    debugVars: () => ({ file_descriptor_limit: 0, 'raft.status': raftVars(node) }),
    cors: config.cors,
    hostWhitelist: config.hostWhitelist,
    gateway: undefined,
  };
  const open: GrpcServer[] = [];
  const acceptors: Http1Acceptor[] = [];
  /** `urls` have one address; resolves with them, their ports filled in. */
  const serve = async (
    urls: readonly ServerUrl[],
    what: { readonly grpc: boolean; readonly http: boolean; readonly metricsOnly: boolean },
  ): Promise<string[]> => {
    signal.throwIfAborted();
    const [url] = urls as [ServerUrl, ...ServerUrl[]];
    const alsoPlain = urls.some((one) => !one.secure);
    const http = what.http
      ? createHttpHandler(routes, { secure: !alsoPlain, metricsOnly: what.metricsOnly })
      : undefined;
    const http1 = http === undefined ? undefined : ports.createHttp1?.(http);
    if (http1 !== undefined) acceptors.push(http1);
    const server = createGrpcServer({
      clock,
      network: what.grpc ? network : ports.network,
      methods: what.grpc ? methods : new Map(),
      limits: transportLimits(config),
      http,
      http1,
      observe,
      onClosed,
      logger,
    });
    open.push(server);
    const isSecure = urls.some((one) => one.secure);
    const listen = isSecure ? clientTls?.listen : undefined;
    const tls = alsoPlain && listen !== undefined ? { ...listen, alsoPlain } : listen;
    const listener = await server.listen(url.address, tls);
    return urls.map((one) => listeningUrl(one, listener));
  };
  const autoCompactor = new AutoCompactor({
    policy: config.autoCompaction,
    clock,
    logger,
    revision: () => node.store.revision,
    isLeader: () => node.leaderWatch.isLeader,
    compact: (revision, done) => node.compact(revision, done),
  });
  let stopped: Promise<void> | undefined;
  const stop: RunningServer['stop'] = (how) => {
    stopped ??= end(how);
    return stopped;
  };
  const end: RunningServer['stop'] = async (how) => {
    autoCompactor.stop();
    node.corruptionCheck.stop();
    node.clusterVersion.stop();
    const drained = Promise.all(open.map((server) => server.drain()));
    await Promise.race([drained, delay(clock, drainMsMax)]);
    await Promise.all(open.map((server) => server.close()));
    await Promise.all(acceptors.map((acceptor) => acceptor.close()));
    await node.stop(how);
    ports.close?.();
  };
  try {
    await node.start(signal);
    if (config.initialCorruptCheck) {
      await unlessAborted(node.corruptionCheck.checkInitially(), signal);
    }
    const splitHttp = config.listenClientHttpUrls.length > 0;
    const clientUrls: string[] = [];
    for (const urls of byAddress(config.listenClientUrls)) {
      const what = { grpc: true, http: !splitHttp, metricsOnly: false };
      clientUrls.push(...(await serve(urls, what)));
    }
    for (const urls of byAddress(config.listenClientHttpUrls)) {
      await serve(urls, { grpc: false, http: true, metricsOnly: false });
    }
    for (const urls of byAddress(config.listenMetricsUrls)) {
      await serve(urls, { grpc: false, http: true, metricsOnly: true });
    }
    signal.throwIfAborted();
    hasStarted = true;
    takeBack();
    autoCompactor.start();
    node.corruptionCheck.start();
    node.clusterVersion.start();
    const { clusterId, memberId, isNew: isNewData } = node;
    const members = node.membership.list().length;
    return { clusterId, memberId, isNewData, clientUrls, members, node, failed, stop };
  } catch (error) {
    takeBack();
    await stop().catch((wrong: unknown) => {
      logger.warn('the start was given up, but not everything could be closed', { error: wrong });
    });
    // What the steps under way make of being ended says nothing.
    signal.throwIfAborted();
    throw error;
  }
}

/** Certificates that follow their files, and refusals that are told of. */
function liveTls(
  endpoint: 'client' | 'peer',
  tls: PortTls | undefined,
  ports: ServerPorts,
  metrics: Metrics,
): PortTls | undefined {
  if (tls === undefined) return undefined;
  const { clock, logger } = ports;
  return renewedTls(tls, tlsRefusals(endpoint, clock, logger, metrics), { ...ports, endpoint });
}

/** The links to other members; they know whom they speak for once the node is open. */
function peerLinks(config: ServerConfig, ports: ServerPorts, metrics: Metrics) {
  let speaker: Node | undefined;
  const peers =
    ports.peers ??
    createPeerTransport({
      clock: ports.clock,
      random: ports.random,
      network: ports.peerNetwork ?? ports.network,
      logger: ports.logger,
      metrics: metrics.peers,
      listenUrls: config.listenPeerUrls,
      tls: liveTls('peer', config.peerTls, ports, metrics),
      electionMs: config.electionMs,
      hello: () => helloOf(present(speaker, 'who this member is')),
    });
  const introduce = (node: Node): void => {
    speaker = node;
  };
  return { peers, introduce };
}

/** What the handlers of a node are given; for tests that call them without a network. */
export function rpcContext(node: Node): RpcContext {
  const { config, store, loop, reads, headers, raft, leaderWatch, ports } = node;
  return {
    clock: ports.clock,
    store,
    loop,
    reads,
    headers,
    logger: ports.logger,
    requestBytesMax: config.requestBytesMax,
    txnOpsMax: config.txnOpsMax,
    hasLeader: () => leaderWatch.hasLeader(),
    term: () => raft.term,
    metrics: node.metrics,
    spaceFor: (costBytes): ErrorReason | undefined => node.spaceFor(costBytes),
  };
}

/** Every rpc of a node, by full method name. */
export function allMethods(rpc: RpcContext, node: Node): Array<readonly [string, MethodHandler]> {
  const { watchHub: hub, leaderWatch: leader, membership, memberId } = node;
  const handle = watchHandler({ hub, leader, refusal: () => undefined });
  const methods: Array<readonly [string, MethodHandler]> = [
    ...kvMethods(rpc),
    rangeStreamMethod(rpc),
    ['/etcdserverpb.Watch/Watch', { kind: 'bidi', handle }],
    ...leaseMethods(leaseService(rpc, node)),
    ...clusterMethods(rpc, node),
    ...maintenanceMethods(rpc, node),
    snapshotMethod(rpc, node),
    ...authMethods(rpc),
    ...healthMethods(rpc),
  ];
  return learnerGated(methods, () => membership.get(memberId)?.isLearner ?? false);
}

function transportLimits(config: ServerConfig) {
  const { concurrentStreamsMax } = transportLimitsDefault;
  return {
    receiveMessageBytesMax: config.requestBytesMax + grpcOverheadBytes,
    concurrentStreamsMax: Math.min(config.concurrentStreamsMax, concurrentStreamsMax),
    keepaliveIntervalMs: config.keepaliveIntervalMs,
    keepaliveTimeoutMs: config.keepaliveTimeoutMs,
    keepaliveMinTimeMs: config.keepaliveMinTimeMs,
  };
}

function raftVars(node: Node) {
  const { id, term, commit, applied, leader } = node.raft.status();
  return { id: idToHex(id), term, commit, applied, lead: idToHex(leader) };
}

/** URLs of one address share its port: as with etcd, plain and TLS can be on one. */
function byAddress(urls: readonly ServerUrl[]): ServerUrl[][] {
  const groups = new Map<string, ServerUrl[]>();
  for (const url of urls) {
    const { address } = url;
    const key = 'path' in address ? address.path : `${canonicalHost(address.host)} ${address.port}`;
    // Each that wants any free port gets one of its own.
    const isFree = 'port' in address && address.port === 0;
    const group = isFree ? undefined : groups.get(key);
    if (group !== undefined) group.push(url);
    else groups.set(isFree ? `${key} ${groups.size}` : key, [url]);
  }
  return [...groups.values()];
}

/** The URL as typed, with the port that was really taken. */
function listeningUrl(url: ServerUrl, listener: Listener): string {
  const address: NetworkAddress = listener.address;
  if ('path' in address) return url.text;
  const host = url.host.includes(':') ? `[${url.host}]` : url.host;
  return `${url.scheme}://${host}:${address.port}`;
}

function delay(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}
