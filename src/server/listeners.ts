/**
 * The sockets that clients come to: gRPC and HTTP on the client URLs, metrics where they are
 * wanted. URLs of one address share its port: as with etcd, plain and TLS can be on one.
 */

import {
  type Clock,
  gatewayTextFactor,
  grpcOverheadBytes,
  type Listener,
  type Logger,
  type Network,
  type NetworkAddress,
  sleep,
} from '../common/index.js';
import {
  type CallObserver,
  createGrpcServer,
  type GrpcServer,
  type Http1Acceptor,
  type HttpHandler,
  type MethodHandler,
  type SendRoom,
  type TransportLimits,
  transportLimitsDefault,
} from '../transport/index.js';
import { createHttpHandler, type HttpRoutesOptions } from './http/index.js';
import { type Metrics, meteredNetwork, SlowLog } from './metrics/index.js';
import { canonicalHost, type PortTls, type ServerConfig, type ServerUrl } from './options/index.js';

export interface ListenersOptions {
  readonly config: ServerConfig;
  readonly ports: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly network: Network;
    readonly createHttp1?: (handler: HttpHandler, messageBytesMax?: number) => Http1Acceptor;
  };
  readonly metrics: Metrics;
  readonly methods: ReadonlyMap<string, MethodHandler>;
  readonly routes: HttpRoutesOptions;
  readonly observe: CallObserver;
  readonly tls: PortTls | undefined;
  /** For the answers of all ports; and the bounds of it. */
  readonly room: SendRoom;
  readonly answerLimits: Partial<TransportLimits>;
  /** Gives up: nothing more is listened on. */
  readonly signal: AbortSignal;
}

/** What one port is there for. */
interface Purpose {
  readonly grpc: boolean;
  readonly http: boolean;
  readonly metricsOnly: boolean;
}

/** How long a graceful stop waits for calls that are still running. */
const drainMsMax = 2000;

export class Listeners {
  readonly #o: ListenersOptions;
  /** Network of the client ports: what passes is counted. */
  readonly #network: Network;
  readonly #servers: GrpcServer[] = [];
  readonly #acceptors: Http1Acceptor[] = [];
  readonly #closings: SlowLog;

  constructor(options: ListenersOptions) {
    const { metrics, ports } = options;
    this.#o = options;
    this.#network = meteredNetwork(ports.network, metrics);
    this.#closings = new SlowLog(ports.clock, ports.logger);
  }

  /**
   * Listens on all URLs of the configuration; resolves with those for clients, their ports filled
   * in. Rejects with the socket's error if one can't be had, or with the reason of the signal; then
   * `close` ends what was opened before.
   */
  async open(): Promise<string[]> {
    const { config } = this.#o;
    const splitHttp = config.listenClientHttpUrls.length > 0;
    const clientUrls: string[] = [];
    for (const urls of byAddress(config.listenClientUrls)) {
      const purpose = { grpc: true, http: !splitHttp, metricsOnly: false };
      clientUrls.push(...(await this.#listen(urls, purpose)));
    }
    for (const urls of byAddress(config.listenClientHttpUrls)) {
      await this.#listen(urls, { grpc: false, http: true, metricsOnly: false });
    }
    for (const urls of byAddress(config.listenMetricsUrls)) {
      await this.#listen(urls, { grpc: false, http: true, metricsOnly: true });
    }
    this.#o.signal.throwIfAborted();
    return clientUrls;
  }

  /** Lets running calls end (for a while), then closes everything. */
  async close(): Promise<void> {
    const drained = Promise.all(this.#servers.map((server) => server.drain()));
    await Promise.race([drained, sleep(this.#o.ports.clock, drainMsMax)]);
    await Promise.all(this.#servers.map((server) => server.close()));
    await Promise.all(this.#acceptors.map((acceptor) => acceptor.close()));
  }

  /** `urls` have one address; resolves with them, their ports filled in. */
  async #listen(urls: readonly ServerUrl[], purpose: Purpose): Promise<string[]> {
    const { config, methods, observe, ports, signal, tls: clientTls } = this.#o;
    signal.throwIfAborted();
    const [url] = urls as [ServerUrl, ...ServerUrl[]];
    const alsoPlain = urls.some((one) => !one.secure);
    const http = this.#handler(purpose, alsoPlain);
    const { receiveMessageBytesMax } = transportLimits(config);
    const webSocketBytesMax = receiveMessageBytesMax * gatewayTextFactor;
    const http1 = http === undefined ? undefined : ports.createHttp1?.(http, webSocketBytesMax);
    if (http1 !== undefined) this.#acceptors.push(http1);
    const server = createGrpcServer({
      clock: ports.clock,
      network: purpose.grpc ? this.#network : ports.network,
      methods: purpose.grpc ? methods : new Map(),
      limits: { ...transportLimits(config), ...this.#o.answerLimits },
      room: this.#o.room,
      http,
      http1,
      observe,
      onClosed: (address, reason) => this.#closed(address, reason),
      logger: ports.logger,
    });
    this.#servers.push(server);
    const isSecure = urls.some((one) => one.secure);
    const listen = isSecure ? clientTls?.listen : undefined;
    const tls = alsoPlain && listen !== undefined ? { ...listen, alsoPlain } : listen;
    const listener = await server.listen(url.address, tls);
    return urls.map((one) => listeningUrl(one, listener));
  }

  #handler({ http, metricsOnly }: Purpose, alsoPlain: boolean): HttpHandler | undefined {
    if (!http) return undefined;
    return createHttpHandler(this.#o.routes, { secure: !alsoPlain, metricsOnly });
  }

  #closed(address: string, reason: string): void {
    this.#o.metrics.connectionsClosed += 1;
    this.#closings.warn('closed the connection of a client', { address, reason });
  }
}

/** grpc-go's minimum for servers that say nothing. */
const grpcKeepaliveMinTimeMs = 300_000;

function transportLimits(config: ServerConfig) {
  const { concurrentStreamsMax } = transportLimitsDefault;
  return {
    receiveMessageBytesMax: config.requestBytesMax + grpcOverheadBytes,
    concurrentStreamsMax: Math.min(config.concurrentStreamsMax, concurrentStreamsMax),
    keepaliveIntervalMs: config.keepaliveIntervalMs,
    keepaliveTimeoutMs: config.keepaliveTimeoutMs,
    // As etcd with 0: gRPC's default then.
    keepaliveMinTimeMs: config.keepaliveMinTimeMs || grpcKeepaliveMinTimeMs,
  };
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
