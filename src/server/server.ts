/**
 * Puts sockets around a member. No decisions here: just which part gets which other part, and the
 * order of start and stop.
 */

import {
  etcdVersion,
  gatewayTextFactor,
  grpcOverheadBytes,
  idToHex,
  type MemberId,
  type Network,
  onAbort,
  type ProcessFacts,
  type Profiler,
  present,
  unlessAborted,
} from '../common/index.js';
import type {
  CallObserver,
  Http1Acceptor,
  HttpHandler,
  MethodHandler,
  SendRoom,
} from '../transport/index.js';
import { answerLimits, answerRoom, type ProcessMemory } from './answers-memory.js';
import { createGateway } from './gateway/index.js';
import { debugVars, type HttpRoutesOptions, healthSource } from './http/index.js';
import { Listeners } from './listeners.js';
import { openTls } from './live-tls.js';
import { allMethods, openMember, type WholeMember } from './member.js';
import { Metrics } from './metrics/index.js';
import type { NodePorts } from './node/index.js';
import type { PortTls, ServerConfig } from './options/index.js';
import { createPeerTransport, type PeerTransport } from './peers/index.js';
import { callObserver } from './rpc/index.js';
import { Tracer } from './trace/index.js';

/** Everything outside: real ones in platform/, simulated ones in src/sim. */
export interface ServerPorts extends NodePorts {
  readonly network: Network;
  /** Between members, if that is another one. */
  readonly peerNetwork?: Network;
  /** HTTP/1.1 on the client ports; without it they speak HTTP/2 only. */
  readonly createHttp1?: (handler: HttpHandler, messageBytesMax?: number) => Http1Acceptor;
  /** The text of /metrics. */
  readonly metricsText: (
    metrics: Metrics,
  ) => () => Promise<{ readonly body: string; readonly contentType: string }>;
  /** For /debug/pprof/; without it there are no profiles. Closed with the ports. */
  readonly profiler?: Profiler | undefined;
  /** For /debug/vars, if the process is this server's alone. */
  readonly processFacts?: () => ProcessFacts;
  /** What the process may use; without it answers get what a large machine would give. */
  readonly memory?: ProcessMemory;
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
  /** @internal For our own tests and tools: what is in it changes with every version. */
  readonly node: WholeMember;
  /** Resolves with what ended the server, if it was not `stop`: the process should end. */
  readonly failed: Promise<unknown>;
  /**
   * Looks at certificates, keys, authorities and revocation lists now, and logs what it comes to;
   * handshakes do so by themselves. Connections live on. Never rejects.
   */
  rereadFiles(): Promise<void>;
  /** Lets running calls end (for a while), then closes everything; all data are synced. */
  stop(options?: { readonly handOver?: boolean }): Promise<void>;
}

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
  const { logger } = ports;
  const start = new Start(options.signal);
  const metrics = new Metrics();
  metrics.features = config.featureGates;
  const tls = await openTls(config, ports, metrics).catch((error: unknown) => {
    start.end();
    throw error;
  });
  const links = new PeerLinks(config, ports, metrics, tls.peer);
  const names = ports.peerNetwork ?? ports.network;
  const resolve = (host: string) => names.resolve(host);
  const outside = { ...ports, resolve, resolveSrv: names.resolveSrv, peers: links.peers };
  const node = await openMember(config, outside, metrics, start.fail, start.signal).catch(
    (error: unknown) => {
      start.end();
      throw error;
    },
  );
  links.speakFor(node);
  metrics.attach(() => node.readings());
  logger.info(node.isNew ? 'founded a new data directory' : 'opened the data directory', {
    clusterId: node.clusterId,
    localMemberId: node.memberId,
    members: node.membership.list().length,
  });
  const { clock } = ports;
  const { slowRequestMs } = config;
  const methods = allMethods(node, metrics);
  const tracer = tracerOf(config, ports, node, metrics);
  const observe = callObserver({ metrics, clock, logger, slowRequestMs, tracer });
  const room = answerRoom(config, clock, ports.memory, metrics);
  const listeners = new Listeners({
    config,
    ports,
    metrics,
    methods,
    routes: routesOf(config, ports, node, gatewayOf(config, ports, methods, observe, room)),
    observe,
    tls: tls.client,
    room,
    answerLimits: answerLimits(config, ports.memory),
    signal: start.signal,
  });
  const stop = once(async (how?: { readonly handOver?: boolean }) => {
    node.retire();
    await listeners.close();
    await node.stop(how);
    await Promise.all([node.audit?.close(), tracer?.close()]);
    ports.close?.();
  });
  try {
    await node.audit?.open();
    await node.start(start.signal);
    await unlessAborted(node.check(), start.signal);
    const clientUrls = await listeners.open();
    start.succeeded();
    node.serve();
    const { clusterId, memberId, isNew: isNewData } = node;
    const members = node.membership.list().length;
    const { failed } = start;
    const { reread: rereadFiles } = tls;
    return { clusterId, memberId, isNewData, clientUrls, members, node, failed, rereadFiles, stop };
  } catch (error) {
    start.end();
    await stop().catch((wrong: unknown) => {
      logger.warn('the start was given up, but not everything could be closed', { error: wrong });
    });
    // What the steps under way make of being ended says nothing.
    start.signal.throwIfAborted();
    throw error;
  }
}

/** A start under way: what ends it, and what is told of failures then and later. */
class Start {
  /** Ends the start; nobody aborts it any more once that is over. */
  readonly #starting = new AbortController();
  readonly #takeBack: () => void;
  #report: (error: unknown) => void = () => {};
  #hasStarted = false;
  /** See RunningServer. */
  readonly failed = new Promise<unknown>((resolve) => {
    this.#report = resolve;
  });

  constructor(signal: AbortSignal | undefined) {
    this.#takeBack = onAbort(signal, () => this.#starting.abort(signal?.reason));
  }

  get signal(): AbortSignal {
    return this.#starting.signal;
  }

  /** Bound. What failed while it starts ends the start. */
  readonly fail = (error: unknown): void => {
    this.#report(error);
    if (!this.#hasStarted) this.#starting.abort(error);
  };

  succeeded(): void {
    this.#hasStarted = true;
    this.end();
  }

  /** Whoever asked for the start can't give it up any more. */
  end(): void {
    this.#takeBack();
  }
}

/** `work`, which is done once however often it is asked for. */
function once<Argument>(
  work: (argument?: Argument) => Promise<void>,
): (argument?: Argument) => Promise<void> {
  let done: Promise<void> | undefined;
  return (argument) => {
    done ??= work(argument);
    return done;
  };
}

function tracerOf(
  { tracing: config }: ServerConfig,
  { clock, logger, network: clients, peerNetwork, random }: ServerPorts,
  { host, memberId }: WholeMember,
  metrics: Metrics,
): Tracer | undefined {
  if (config === undefined) return undefined;
  const { name } = host.config;
  const network = peerNetwork ?? clients;
  return new Tracer({
    config,
    clock,
    logger,
    network,
    random,
    metrics,
    member: { memberId, name },
  });
}

function gatewayOf(
  config: ServerConfig,
  { clock }: ServerPorts,
  methods: ReadonlyMap<string, MethodHandler>,
  observe: CallObserver,
  memory: SendRoom,
): HttpHandler | undefined {
  if (!config.gatewayEnabled) return undefined;
  const messageBytesMax = config.requestBytesMax + grpcOverheadBytes;
  const textBytesMax = messageBytesMax * gatewayTextFactor;
  const limits = { messageBytesMax, textBytesMax };
  return createGateway({ methods, clock, observe, limits, memory });
}

function routesOf(
  config: ServerConfig,
  ports: ServerPorts,
  node: WholeMember,
  gateway: HttpHandler | undefined,
): HttpRoutesOptions {
  const { metrics } = node;
  return {
    health: healthSource(node.host),
    observer: metrics,
    versions: () => {
      const { cluster, storage } = node.versions;
      return { server: etcdVersion, cluster, storage };
    },
    metrics: ports.metricsText(metrics),
    clusterId: idToHex(node.clusterId),
    async downgradeEnabled() {
      await node.host.readBarrier();
      return node.versions.downgradeTo !== undefined;
    },
    debugVars: () => debugVars(node, ports.processFacts?.()),
    profiler: config.enablePprof ? ports.profiler : undefined,
    cors: config.cors,
    hostWhitelist: config.hostWhitelist,
    gateway,
    namesByCertificate: () => config.clientCertAuth && node.host.access.isEnabled,
  };
}

/** The links to other members; they know whom they speak for once the member is open. */
class PeerLinks {
  readonly peers: PeerTransport;
  #speaker: WholeMember | undefined;

  constructor(
    config: ServerConfig,
    ports: ServerPorts,
    metrics: Metrics,
    tls: PortTls | undefined,
  ) {
    this.peers =
      ports.peers ??
      createPeerTransport({
        clock: ports.clock,
        random: ports.random,
        network: ports.peerNetwork ?? ports.network,
        logger: ports.logger,
        metrics: metrics.peers,
        listenUrls: config.listenPeerUrls,
        tls,
        electionMs: config.electionMs,
        localAddress: config.peerLocalAddress,
        hello: () => present(this.#speaker, 'who this member is').hello(),
      });
  }

  speakFor(member: WholeMember): void {
    this.#speaker = member;
  }
}
