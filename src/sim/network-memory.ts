/**
 * The simulated Network: hosts in one process, connected by byte streams that take time, arrive in
 * pieces cut anywhere, stall while hosts are partitioned, and break. Runs on Clock and Random
 * only, so that a seed replays it.
 *
 * TLS is only acted: both sides must agree on having it, ALPN says `h2`, and a certificate is any
 * text with `CN=name` in it, believed if the listener asks for one.
 */

import {
  assert,
  type ByteStream,
  type ByteStreamHandler,
  type Clock,
  ConnectionRefusedError,
  type Listener,
  type Network,
  type NetworkAddress,
  onAbort,
  type PeerIdentity,
  type Random,
  type TlsOptions,
} from '../common/index.js';

/** How the simulated wires behave. */
export interface MemoryNetworkOptions {
  /** One way, uniform in between. */
  readonly latencyMsMin?: number;
  readonly latencyMsMax?: number;
  /** Chance that a chunk is cut in two at a random byte (and the rest again, and so on). */
  readonly splitChance?: number;
  /** Undelivered bytes above which `write` returns false. */
  readonly highWaterBytes?: number;
}

interface Acceptor {
  readonly host: string;
  readonly tls: TlsOptions | undefined;
  readonly onStream: (stream: ByteStream) => void;
}

const noIdentity: PeerIdentity = { commonName: '', certificateVerified: false };

/** All hosts of a simulation and what is between them. */
export class MemoryNetwork implements Network {
  readonly clock: Clock;
  readonly random: Random;
  latencyMsMin: number;
  latencyMsMax: number;
  splitChance: number;
  readonly highWaterBytes: number;
  readonly #acceptors = new Map<string, Acceptor>();
  readonly #streams = new Set<MemoryStream>();
  /** `from>to` pairs that nothing gets through. */
  readonly #blocked = new Set<string>();
  /** Who listens, or listened last, at an address. */
  readonly #hosts = new Map<string, string>();
  /** Hosts without power. */
  readonly #dark = new Set<string>();
  readonly #names = new Map<string, readonly string[]>();
  #nextPort = 40_000;

  constructor(clock: Clock, random: Random, options: MemoryNetworkOptions = {}) {
    this.clock = clock;
    this.random = random;
    this.latencyMsMin = options.latencyMsMin ?? 0.05;
    this.latencyMsMax = Math.max(options.latencyMsMax ?? 0.5, this.latencyMsMin);
    this.splitChance = options.splitChance ?? 0.25;
    assert(this.latencyMsMin >= 0, 'nothing arrives before it is sent');
    assert(this.splitChance >= 0 && this.splitChance <= 1, 'a chance is between never and always');
    this.highWaterBytes = options.highWaterBytes ?? 64 * 1024;
  }

  /** The network as seen from one host; `block` and `cut` go by these names. */
  host(name: string): Network {
    return {
      listen: (address, tls, onStream) => this.#listen(name, address, tls, onStream),
      connect: (address, tls, timeoutMs, signal) =>
        this.#connect(name, address, tls, timeoutMs, signal),
      resolve: (host) => this.resolve(host),
    };
  }

  listen(
    address: NetworkAddress,
    tls: TlsOptions | undefined,
    onStream: (stream: ByteStream) => void,
  ): Promise<Listener> {
    return this.#listen('localhost', address, tls, onStream);
  }

  connect(
    address: NetworkAddress,
    tls: TlsOptions | undefined,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<ByteStream> {
    return this.#connect('localhost', address, tls, timeoutMs, signal);
  }

  /** What a name resolves to from now on, in numbers; nothing: it is not known. */
  name(host: string, ...addresses: readonly string[]): void {
    this.#names.set(host, addresses);
  }

  async resolve(host: string): Promise<readonly string[]> {
    const addresses = this.#names.get(host) ?? [];
    if (addresses.length > 0) return addresses;
    throw new Error(`the name ${host} is not known`);
  }

  /** Streams that are open; both ends of a connection count. */
  get streamCount(): number {
    return this.#streams.size;
  }

  /** From now on nothing sent by `from` reaches `to`; connections stay and wait. */
  block(from: string, to: string): void {
    this.#blocked.add(`${from}>${to}`);
  }

  unblock(from: string, to: string): void {
    this.#blocked.delete(`${from}>${to}`);
    this.#kick();
  }

  /** Ends all blocks. */
  heal(): void {
    this.#blocked.clear();
    this.#kick();
  }

  isBlocked(from: string, to: string): boolean {
    return this.#blocked.has(`${from}>${to}`);
  }

  /** Resets the connections of `host` (only those to `other`, if given). */
  cut(host: string, other?: string): void {
    for (const stream of [...this.#streams]) {
      const ends = [stream.localHost, stream.remoteHost];
      if (ends.includes(host) && (other === undefined || ends.includes(other))) {
        stream.reset(new Error('connection reset'));
      }
    }
  }

  /** The host's process is gone: its listeners close, its peers see resets, it sees nothing. */
  crash(host: string): void {
    this.#end(host, true);
  }

  /** The host's listeners are gone, with what they had accepted; what it dialled itself stays. */
  stopListening(host: string): void {
    for (const [key, acceptor] of this.#acceptors) {
      if (acceptor.host === host) this.#acceptors.delete(key);
    }
    for (const stream of [...this.#streams]) {
      if (stream.localHost === host && stream.isAccepted) stream.destroy();
    }
  }

  /** The host has no power until it listens again: its peers see nothing, either. */
  powerOff(host: string): void {
    this.#dark.add(host);
    this.#end(host, false);
  }

  #end(host: string, tells: boolean): void {
    for (const [key, acceptor] of this.#acceptors) {
      if (acceptor.host === host) this.#acceptors.delete(key);
    }
    for (const stream of [...this.#streams]) {
      if (stream.localHost === host) stream.vanish(tells);
    }
  }

  /** Nothing gets from one to the other and back. */
  isSilent(from: string, to: string): boolean {
    return this.#dark.has(to) || this.isBlocked(from, to) || this.isBlocked(to, from);
  }

  /** For MemoryStream. */
  forget(stream: MemoryStream): void {
    this.#streams.delete(stream);
  }

  /** For MemoryStream: one way, now. */
  latencyMs(): number {
    return this.latencyMsMin + this.random.float() * (this.latencyMsMax - this.latencyMsMin);
  }

  #kick(): void {
    for (const stream of [...this.#streams]) {
      stream.retryDelivery();
      stream.noticeEnd();
    }
  }

  async #listen(
    host: string,
    address: NetworkAddress,
    tls: TlsOptions | undefined,
    onStream: (stream: ByteStream) => void,
  ): Promise<Listener> {
    const bound =
      'port' in address && address.port === 0
        ? { host: address.host, port: this.#nextPort++ }
        : address;
    const key = addressKey(bound);
    if (this.#acceptors.has(key)) throw new Error(`address in use: ${key}`);
    const acceptor: Acceptor = { host, tls, onStream };
    this.#acceptors.set(key, acceptor);
    this.#hosts.set(key, host);
    // What was connected before it lost its power is reset now.
    if (this.#dark.delete(host)) this.#kick();
    return {
      address: bound,
      close: async () => {
        if (this.#acceptors.get(key) === acceptor) this.#acceptors.delete(key);
      },
      keepAlive() {},
    };
  }

  #connect(
    host: string,
    address: NetworkAddress,
    tls: TlsOptions | undefined,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<ByteStream> {
    const key = addressKey(this.#numbered(address));
    return new Promise((resolve, reject) => {
      const timer = this.clock.after(timeoutMs, () => fail(new Error('connect timeout')));
      const fail = (error: Error): void => {
        timer.cancel();
        arrival.cancel();
        takeBack();
        reject(error);
      };
      const arrival = this.clock.after(this.latencyMs() * 2, () => {
        // Packets that get lost: the time limit decides.
        const listening = this.#hosts.get(key);
        if (listening !== undefined && this.isSilent(host, listening)) return;
        const acceptor = this.#acceptors.get(key);
        if (acceptor === undefined) {
          fail(new ConnectionRefusedError(`connection refused: ${key}`));
          return;
        }
        const refusal = tlsRefusal(acceptor.tls, tls);
        if (refusal !== undefined) {
          fail(new Error(refusal));
          return;
        }
        timer.cancel();
        takeBack();
        resolve(this.#pair(host, acceptor, key, tls));
      });
      let takeBack = (): void => {};
      takeBack = onAbort(signal, () => fail(signal?.reason));
    });
  }

  #numbered(address: NetworkAddress): NetworkAddress {
    if ('path' in address) return address;
    const [first = address.host] = this.#names.get(address.host) ?? [];
    return { host: first, port: address.port };
  }

  #pair(host: string, acceptor: Acceptor, key: string, tls: TlsOptions | undefined): MemoryStream {
    const alpn = tls === undefined ? '' : 'h2';
    const from = `${host}:${this.#nextPort++}`;
    const client = new MemoryStream(this, host, acceptor.host, key, alpn, identityOf(acceptor.tls));
    const asked = acceptor.tls?.requireClientCertificate === true;
    const identity = asked ? identityOf(tls) : noIdentity;
    const server = new MemoryStream(this, acceptor.host, host, from, alpn, identity);
    server.isAccepted = true;
    client.peer = server;
    server.peer = client;
    this.#streams.add(client);
    this.#streams.add(server);
    acceptor.onStream(server);
    return client;
  }
}

/** What a chunk is filled with that was only borrowed, and is no more. */
const overwritten = 0xdb;

/** One end of a simulated connection. */
class MemoryStream implements ByteStream {
  readonly remoteAddress: string;
  readonly alpnProtocol: string;
  readonly identity: PeerIdentity;
  readonly localHost: string;
  readonly remoteHost: string;
  peer: MemoryStream | undefined;
  /** The other end dialled. */
  isAccepted = false;
  readonly #network: MemoryNetwork;
  #handler: ByteStreamHandler | undefined;
  /** What we wrote and the peer has not got: chunks and when each is there. */
  readonly #wire: Array<{ readonly chunk: Buffer; readonly atMs: number }> = [];
  #wireBytes = 0;
  #lastAtMs = 0;
  #corked: Uint8Array[] | undefined;
  #needDrain = false;
  #delivering = false;
  /** We called `end`; it travels behind the data. */
  #ended = false;
  #endDelivered = false;
  #paused = false;
  #closed = false;

  constructor(
    network: MemoryNetwork,
    localHost: string,
    remoteHost: string,
    remoteAddress: string,
    alpnProtocol: string,
    identity: PeerIdentity,
  ) {
    this.#network = network;
    this.localHost = localHost;
    this.remoteHost = remoteHost;
    this.remoteAddress = remoteAddress;
    this.alpnProtocol = alpnProtocol;
    this.identity = identity;
  }

  setHandler(handler: ByteStreamHandler): void {
    assert(this.peer !== undefined, 'a stream is used before it has another end');
    this.#handler = handler;
    this.peer?.retryDelivery();
  }

  write(chunk: Uint8Array): boolean {
    if (this.#closed || this.#ended) return true;
    if (this.#corked !== undefined) this.#corked.push(chunk);
    else this.#send(Buffer.from(chunk));
    if (this.backlogBytes() <= this.#network.highWaterBytes) return true;
    this.#needDrain = true;
    return false;
  }

  cork(): void {
    this.#corked ??= [];
  }

  uncork(): void {
    const corked = this.#corked;
    this.#corked = undefined;
    if (corked !== undefined && corked.length > 0) this.#send(Buffer.concat(corked));
  }

  backlogBytes(): number {
    let bytes = this.#wireBytes;
    for (const chunk of this.#corked ?? []) bytes += chunk.length;
    return bytes;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.peer?.retryDelivery();
  }

  end(): void {
    if (this.#closed || this.#ended) return;
    this.uncork();
    this.#ended = true;
    this.#schedule();
  }

  destroy(error?: Error): void {
    if (this.#closed) return;
    const peer = this.peer;
    this.#close(error);
    peer?.noticeEndLater();
  }

  /** The other end is closed, and this one is to know it, if packets get through. */
  noticeEnd(): void {
    if (!this.#closed && this.peer?.isClosed === true) this.noticeEndLater();
  }

  noticeEndLater(): void {
    const network = this.#network;
    network.clock.after(network.latencyMs(), () => {
      if (network.isSilent(this.localHost, this.remoteHost)) return;
      this.reset(new Error('connection reset by peer'));
    });
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Both ends see an error. */
  reset(error: Error): void {
    const peer = this.peer;
    this.#close(error);
    peer?.resetAlone(error);
  }

  resetAlone(error: Error): void {
    this.#close(error);
  }

  /** This end is gone without being told; the other end gets a reset, if anything `tells` it. */
  vanish(tells: boolean): void {
    this.#handler = undefined;
    if (tells) this.destroy();
    else this.#close(undefined);
  }

  /** Something that held up delivery may be over. */
  retryDelivery(): void {
    this.#schedule();
  }

  #send(whole: Buffer): void {
    assert(!this.#closed, 'a closed stream sends nothing');
    const network = this.#network;
    let rest = whole;
    this.#wireBytes += whole.length;
    while (rest.length > 0) {
      let chunk = rest;
      if (rest.length > 1 && network.random.float() < network.splitChance) {
        chunk = rest.subarray(0, 1 + (network.random.u32() % (rest.length - 1)));
      }
      rest = rest.subarray(chunk.length);
      this.#lastAtMs = Math.max(this.#lastAtMs, network.clock.nowMs() + network.latencyMs());
      this.#wire.push({ chunk, atMs: this.#lastAtMs });
    }
    this.#schedule();
  }

  /** At most one delivery is under way, so nothing overtakes. */
  #schedule(): void {
    if (this.#delivering || !this.#mayDeliver()) return;
    const next = this.#wire[0];
    if (next === undefined && (!this.#ended || this.#endDelivered)) return;
    this.#delivering = true;
    const network = this.#network;
    const delayMs =
      (next?.atMs ?? network.clock.nowMs() + network.latencyMs()) - network.clock.nowMs();
    network.clock.after(Math.max(0, delayMs), () => {
      this.#delivering = false;
      this.#deliver();
    });
  }

  #mayDeliver(): boolean {
    const peer = this.peer;
    if (peer === undefined || this.#closed || peer.#closed) return false;
    if (peer.#handler === undefined || peer.#paused) return false;
    return !this.#network.isBlocked(this.localHost, this.remoteHost);
  }

  #deliver(): void {
    const peer = this.peer;
    if (peer === undefined || !this.#mayDeliver()) return;
    const next = this.#wire.shift();
    if (next === undefined) {
      this.#endDelivered = true;
      peer.#handler?.onEnd();
      if (peer.#endDelivered) {
        peer.#close(undefined);
        this.#close(undefined);
      }
      return;
    }
    this.#wireBytes -= next.chunk.length;
    assert(this.#wireBytes >= 0, 'more was delivered than was written');
    peer.#handler?.onData(next.chunk);
    // As a socket does that reads the next bytes into the same buffer.
    next.chunk.fill(overwritten);
    if (this.#needDrain && !this.#closed && this.#wireBytes <= this.#network.highWaterBytes / 2) {
      this.#needDrain = false;
      this.#handler?.onDrain();
    }
    this.#schedule();
  }

  #close(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#wire.length = 0;
    this.#wireBytes = 0;
    this.#corked = undefined;
    this.#network.forget(this);
    this.#network.clock.afterTurn(() => this.#handler?.onClose(error));
  }
}

function addressKey(address: NetworkAddress): string {
  return 'path' in address ? address.path : `${address.host}:${address.port}`;
}

function tlsRefusal(
  listener: TlsOptions | undefined,
  dialer: TlsOptions | undefined,
): string | undefined {
  if (dialer === undefined && listener?.alsoPlain === true) return undefined;
  if ((listener === undefined) !== (dialer === undefined)) return 'TLS on one side only';
  if (listener?.requireClientCertificate === true && dialer?.cert === undefined) {
    return 'the server wants a client certificate';
  }
  return undefined;
}

function identityOf(tls: TlsOptions | undefined): PeerIdentity {
  if (tls?.cert === undefined) return noIdentity;
  const text = typeof tls.cert === 'string' ? tls.cert : Buffer.from(tls.cert).toString('utf8');
  const found = /CN=([^\s,/]+)/.exec(text);
  return { commonName: found?.[1] ?? '', certificateVerified: true };
}
