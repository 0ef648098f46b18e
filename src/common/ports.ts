/**
 * The only doors to the outside world. Everything above them is deterministic: given the same
 * answers from these interfaces it does the same things in the same order, which is what lets a
 * simulator replay a whole cluster from one seed.
 */

/** A pending {@link Clock.after}. Cancelling one that fired or was cancelled does nothing. */
export interface Timer {
  cancel(): void;
}

/** Time. Durations and decisions use `nowMs`; `wallMs` is only for what people read and new ids. */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start; may have a fraction. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch; may jump. */
  wallMs(): number;
  /** Calls `fire` once, `delayMs` or more from now. Does not keep the process alive. */
  after(delayMs: number, fire: () => void): Timer;
  /** Calls `fire` after the I/O events that are ready in this turn have been handled. */
  afterTurn(fire: () => void): void;
}

/** Randomness; the simulated one is seeded. */
export interface Random {
  /** Uniform integer in [0, 2^32). */
  u32(): number;
  /** Uniform unsigned 64-bit integer. */
  u64(): bigint;
  /** Uniform in [0, 1). */
  float(): number;
}

/** Hashes of passwords, slow on purpose, and never on the event loop. */
export interface Passwords {
  /**
   * A new bcrypt hash with its own salt. `password` has at most 72 bytes in UTF-8, `cost` is from 4
   * to 31: its time doubles with each.
   */
  hash(password: string, cost: number): Promise<string>;
  /** Takes the time of `hash`'s cost; false for what is no hash. Never rejects. */
  matches(password: string, hash: string): Promise<boolean>;
}

/** What a signed token says. */
export interface TokenClaims {
  readonly username: string;
  /** Of users and roles, when it was made. */
  readonly revision: number;
}

/** Tokens that say by themselves who shows them (JWT), made and checked with keys. */
export interface SignedTokens {
  /** Undefined: there is only a key to check with. */
  readonly sign: ((claims: TokenClaims) => Promise<string>) | undefined;
  /** Undefined: it is none of ours, or no more; `expiresMs` on the wall clock. Never rejects. */
  verify(
    token: string,
  ): Promise<{ readonly claims: TokenClaims; readonly expiresMs: number } | undefined>;
}

/** An open file. One writer at a time; calls are not reordered by the caller awaiting them. */
export interface DiskFile {
  /** Reads up to `length` bytes at `offset`; fewer at the end of the file. The caller owns it. */
  read(offset: number, length: number): Promise<Buffer>;
  /** Writes all `chunks`, one after the other, from `offset`. They must not change meanwhile. */
  write(offset: number, chunks: readonly Uint8Array[]): Promise<void>;
  /**
   * `write`, durable when it resolves: as one operation (O_DSYNC) it costs a fifth to a quarter
   * less than write and then `sync`. Says nothing about what was written before by other calls.
   */
  writeDurable(offset: number, chunks: readonly Uint8Array[]): Promise<void>;
  /** fdatasync: after it resolves, the bytes and the size survive power loss. */
  sync(): Promise<void>;
  /** Cuts or extends (with zeros) to `size` bytes. */
  truncate(size: number): Promise<void>;
  /** Current size in bytes. */
  size(): Promise<number>;
  close(): Promise<void>;
}

/** `read` fails if missing; `write` opens an existing file; `create` fails if it exists. */
export type OpenMode = 'read' | 'write' | 'create';

/**
 * A file system. A created, renamed or removed name survives power loss only once `syncDir` of its
 * directory has resolved.
 */
export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  /** Names in `dir`, sorted; an empty list if `dir` does not exist. */
  list(dir: string): Promise<string[]>;
  /** Creates `dir` (mode 0700) and its parents; no error if it exists. */
  mkdir(dir: string): Promise<void>;
  /** Permission bits of a directory, as 0o700. */
  mode(dir: string): Promise<number>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, or a directory with all below it; no error if it is missing. */
  remove(path: string): Promise<void>;
  /** fsync of the directory itself. */
  syncDir(dir: string): Promise<void>;
}

/** One change of a {@link KvStore.write}; without `value` the key is deleted. */
export interface KvChange {
  readonly key: Uint8Array;
  readonly value?: Uint8Array;
}

/** A half-open range of keys, and how much of it to return at once. */
export interface KvScan {
  /** First key, inclusive. */
  readonly gte: Uint8Array;
  /** End, exclusive. */
  readonly lt: Uint8Array;
  /** At most this many entries. */
  readonly countMax: number;
  /** Stops after the entry with which keys + values reach this many bytes. */
  readonly bytesMax: number;
}

/** A consistent view of a {@link KvStore}; must be closed. */
export interface KvView {
  /** One page in key order; fewer entries than the limits allow means the end was reached. */
  scan(range: KvScan): Promise<Array<readonly [Buffer, Buffer]>>;
  close(): Promise<void>;
}

/** An ordered byte-key store with atomic batches: LevelDB, or the simulated one. */
export interface KvStore {
  /** The values in the order of `keys`. */
  getMany(keys: readonly Uint8Array[]): Promise<Array<Buffer | undefined>>;
  /**
   * Applies all changes or none. Batches become durable in order: after power loss a prefix of the
   * batches is there, at least up to the last one written with `sync`. The buffers must not change
   * until it resolves.
   */
  write(changes: readonly KvChange[], options: { readonly sync: boolean }): Promise<void>;
  scan(range: KvScan): Promise<Array<readonly [Buffer, Buffer]>>;
  /** A view of what `write` had resolved for when this was called. */
  view(): KvView;
  /** Reclaims space in [gte, lt]; correctness does not depend on it. */
  compact(gte: Uint8Array, lt: Uint8Array): Promise<void>;
  /** Bytes that its files take, with what is deleted and not reclaimed yet. */
  sizeBytes(): Promise<number>;
  close(): Promise<void>;
}

/** How a {@link KvStore} is opened: `dir` is created if missing and locked against others. */
export type OpenKvStore = (dir: string) => Promise<KvStore>;

/** What TLS told about the other side of a {@link ByteStream}. */
export interface PeerIdentity {
  /**
   * Common name of the verified client certificate, the last one if it has several, as Go takes it;
   * '' without one.
   */
  readonly commonName: string;
  /** True only if this very handshake verified it: sessions are not taken up again. */
  readonly certificateVerified: boolean;
}

/** What a {@link ByteStream} tells its owner; set once, before the turn ends. */
export interface ByteStreamHandler {
  /** The chunk is borrowed until this returns: what is kept must be copied. */
  onData(chunk: Buffer): void;
  /** The other side will send no more. */
  onEnd(): void;
  /** After `write` returned false: there is room again. */
  onDrain(): void;
  /** Last call; `error` if it was not an orderly close. */
  onClose(error: Error | undefined): void;
}

/**
 * A connected, ordered, reliable stream of bytes: a TCP, TLS or unix socket, or a simulated one.
 */
export interface ByteStream {
  /** `address:port`, for people. */
  readonly remoteAddress: string;
  /** The ALPN protocol that TLS agreed on; '' without TLS or agreement. */
  readonly alpnProtocol: string;
  readonly identity: PeerIdentity;
  setHandler(handler: ByteStreamHandler): void;
  /**
   * `chunk` must stay as it is until `backlogBytes` says that it has left. False: more than the
   * high-water mark is waiting to leave.
   */
  write(chunk: Uint8Array): boolean;
  /** Holds back what is written until `uncork`, which sends it in one go. */
  cork(): void;
  uncork(): void;
  /** Bytes accepted by `write` that have not left yet; they leave in order. */
  backlogBytes(): number;
  pause(): void;
  resume(): void;
  /** Sends what is waiting, then closes this direction. */
  end(): void;
  /** Closes at once, dropping what is waiting. */
  destroy(error?: Error): void;
}

/** Why there is no stream after a TLS handshake at a listener. */
export type TlsRefusalKind =
  /** No certificate, or one that is not believed. */
  | 'certificate'
  /** It is believed, but on the revocation list. */
  | 'revoked'
  /** The other side does not speak TLS, or no version, suite or certificate of ours. */
  | 'protocol'
  | 'timeout'
  /** There were too many handshakes at once, and it took its time, or found no room to wait. */
  | 'crowded'
  /** The other side broke the connection. */
  | 'reset'
  /** The other side closed it in an orderly way: load balancers do that to see who listens. */
  | 'closed';

/** A TLS handshake at a listener that did not lead to a stream. */
export interface TlsRefusal {
  readonly kind: TlsRefusalKind;
  /** `address:port`, for people. */
  readonly remoteAddress: string;
  /** The host that the other side asked for (SNI); '' if none, or not known yet. */
  readonly serverName: string;
  readonly reason: string;
  /** What was presented, if it was the certificate; believed or not. */
  readonly presented: Pick<TlsPresented, 'addresses' | 'hostNames'> | undefined;
}

/** The certificates that the other side presented, and that are believed; its own comes first. */
export interface TlsPresented {
  /** Serial numbers of all of them, in hexadecimal. */
  readonly serials: readonly string[];
  /** As {@link PeerIdentity.commonName}. */
  readonly commonName: string;
  /** Host names and IP addresses (subject alternative names) of its own. */
  readonly hostNames: readonly string[];
  readonly addresses: readonly string[];
  /** True if its own is for this host name or IP address; common names do not count. */
  isFor(host: string): boolean;
}

/** Why the other side is refused although its certificate is believed. */
export interface TlsDenial {
  readonly kind: Extract<TlsRefusalKind, 'certificate' | 'revoked'>;
  /** For the log; it names what is in the certificate. */
  readonly reason: string;
}

/** Certificates and policy of a TLS end; one object serves every listener and dialer of a node. */
export interface TlsOptions {
  /** PEM. */
  readonly cert?: Uint8Array | string;
  readonly key?: Uint8Array | string;
  /** PEM of the authorities that the other side's certificate must come from. */
  readonly ca?: Uint8Array | string;
  /** Server: a client must present a certificate that `ca` vouches for. */
  readonly requireClientCertificate?: boolean;
  /** Server: whoever does not begin with a TLS handshake is accepted without TLS. */
  readonly alsoPlain?: boolean;
  /** Client: do not verify the server. For tests and tools. */
  readonly insecureSkipVerify?: boolean;
  readonly serverName?: string;
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3';
  readonly cipherSuites?: readonly string[];
  /** Asked when a certificate is believed otherwise: why it is refused all the same. */
  readonly denial?: (presented: TlsPresented) => TlsDenial | undefined;
  /**
   * Server: a client certificate that names hosts must name the one that the client comes from, by
   * its address, or by a host name that leads to it or is found for it.
   */
  readonly checkClientAddress?: boolean;
  /**
   * These options as they are now, for those that change while running; asked before each
   * handshake. A promise only if somebody has to look; it never rejects. The same object as long as
   * nothing has changed, and without `current`.
   */
  readonly current?: () => TlsOptions | Promise<TlsOptions>;
  /** Server: told of each handshake that did not lead to a stream. */
  readonly onRefused?: (refusal: TlsRefusal) => void;
}

/** `{host, port}` (port 0: any free one) or a unix socket `{path}`. */
export type NetworkAddress =
  | {
      readonly host: string;
      readonly port: number;
      /** To connect from; left out: the system chooses. */
      readonly localAddress?: string;
    }
  | { readonly path: string };

/** A listening socket. */
export interface Listener {
  /** Where it really listens, the port filled in. */
  readonly address: NetworkAddress;
  /** Stops accepting; open streams stay. */
  close(): Promise<void>;
  /** Whether the listener, as long as it is open, keeps the process alive; at first it does. */
  keepAlive(keeps: boolean): void;
}

/** Streams of bytes between processes. */
export interface Network {
  /** Rejects if the address can't be had. `onStream` must set the handler at once. */
  listen(
    address: NetworkAddress,
    tls: TlsOptions | undefined,
    onStream: (stream: ByteStream) => void,
  ): Promise<Listener>;
  /**
   * Rejects if there is no connection (and no TLS session) within `timeoutMs`, or with the reason
   * of `signal` if that aborts first; with ConnectionRefusedError if it can tell that nobody
   * listens.
   */
  connect(
    address: NetworkAddress,
    tls: TlsOptions | undefined,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<ByteStream>;
  /** Throws if certificates or keys are of no use for TLS; without it they are tried when used. */
  checkTls?(tls: TlsOptions): void;
  /** All addresses of a host name, in numbers, the preferred one first; rejects if it has none. */
  resolve(host: string): Promise<readonly string[]>;
  /** The targets of DNS's SRV records under `name`; rejects if there are none. */
  resolveSrv?(name: string): Promise<readonly SrvTarget[]>;
}

/** Where an SRV record of DNS points to. */
export interface SrvTarget {
  readonly host: string;
  readonly port: number;
}

/** Structured log lines; `fields` must not hold secrets. */
export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Swallows everything; for tests and embedding. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
};

/** A CPU profile that is being taken. */
export interface CpuProfile {
  /** Resolves with it, in pprof's format, when its time is over; rejects if it was given up. */
  readonly done: Promise<Uint8Array>;
  /** Gives it up. */
  cancel(): void;
}

/** Where the process spends its time and memory; answers in pprof's format, compressed. */
export interface Profiler {
  /** Undefined: one is being taken already. */
  startCpu(seconds: number): CpuProfile | undefined;
  /**
   * What was allocated since the server started and is in use, from samples. `collect`: garbage is
   * collected first. Undefined: another one is being made.
   */
  heap(collect: boolean): Promise<Uint8Array> | undefined;
  close(): void;
}

/** What the machine knows of this process, for /debug/vars. */
export interface ProcessFacts {
  /** Without secrets. */
  readonly commandLine: readonly string[];
  /** 0: not known. */
  readonly fileDescriptorsMax: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
  readonly heapUsedBytes: number;
  /** Memory beside the heap that belongs to objects on it. */
  readonly externalBytes: number;
}
