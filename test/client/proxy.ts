/**
 * A TCP proxy that does to connections what networks do: cut them, hold bytes back, lose them. It
 * knows nothing of HTTP/2; tests say at which byte, or when, something happens.
 *
 * Node's HTTP/2 notices a cut at once; bytes that are swallowed look like a network that drops.
 */

import { createServer, type Server, Socket } from 'node:net';

/** One proxied connection. */
interface Pair {
  readonly client: Socket;
  readonly upstream: Socket;
}

/** What is done with a chunk on its way. */
type Filter = (chunk: Buffer) => Buffer | undefined;

export interface BadNetwork extends AsyncDisposable {
  /** `host:port` for clients. */
  readonly endpoint: string;
  /** Connections made so far. */
  readonly accepted: number;
  readonly open: number;
  /** Bytes forwarded from clients and to clients. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Closes all connections, as a reset. New ones may come. */
  cut(): void;
  /** New connections are refused (the port is closed) or accepted again. */
  refuse(): Promise<void>;
  accept(): Promise<void>;
  /** Swallows what the server sends from now on. */
  dropReplies(): void;
  /** Swallows what clients send from now on. */
  dropRequests(): void;
  /** Holds both directions back until `resume`. */
  pause(): void;
  /** Ends dropping and pausing; what was dropped is gone. */
  resume(): void;
  /** Resets the connection after `bytes` more bytes in this direction. */
  cutAfter(direction: 'requests' | 'replies', bytes: number): void;
  /** Resolves when the server has sent something that was dropped. */
  replyDropped(): Promise<void>;
  /** Leads to another server from the next connection on. */
  leadTo(endpoint: string): void;
}

export async function startProxy(upstream: string): Promise<BadNetwork> {
  const proxy = new TcpProxy(upstream);
  await proxy.accept();
  return proxy;
}

class TcpProxy implements BadNetwork {
  accepted = 0;
  sentBytes = 0;
  receivedBytes = 0;
  readonly #pairs = new Set<Pair>();
  #upstream: string;
  #server: Server | undefined;
  #port = 0;
  #dropReplies = false;
  #dropRequests = false;
  #paused = false;
  #cut: { readonly direction: 'requests' | 'replies'; bytes: number } | undefined;
  /** Between the byte at which it cuts and the cut: nothing goes through. */
  #cutting = false;
  #onDropped: Array<() => void> = [];

  constructor(upstream: string) {
    this.#upstream = upstream;
  }

  get endpoint(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get open(): number {
    return this.#pairs.size;
  }

  accept(): Promise<void> {
    if (this.#server !== undefined) return Promise.resolve();
    const server = createServer((client) => this.#onClient(client));
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', () => {
        const address = server.address();
        if (typeof address === 'object' && address !== null) this.#port = address.port;
        resolve();
      });
    });
  }

  refuse(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return Promise.resolve();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    this.cut();
    return closed;
  }

  cut(): void {
    for (const { client, upstream } of this.#pairs) {
      for (const socket of [client, upstream]) {
        // The first says how, but waits for what is unsent; the second does it now.
        if (!socket.connecting) socket.resetAndDestroy();
        socket.destroy();
      }
    }
    this.#pairs.clear();
    this.#cutting = false;
  }

  dropReplies(): void {
    this.#dropReplies = true;
  }

  dropRequests(): void {
    this.#dropRequests = true;
  }

  pause(): void {
    this.#paused = true;
    for (const { client, upstream } of this.#pairs) {
      client.pause();
      upstream.pause();
    }
  }

  resume(): void {
    this.#dropReplies = false;
    this.#dropRequests = false;
    this.#paused = false;
    for (const { client, upstream } of this.#pairs) {
      client.resume();
      upstream.resume();
    }
  }

  cutAfter(direction: 'requests' | 'replies', bytes: number): void {
    this.#cut = { direction, bytes };
  }

  replyDropped(): Promise<void> {
    return new Promise((resolve) => this.#onDropped.push(resolve));
  }

  leadTo(endpoint: string): void {
    this.#upstream = endpoint;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.refuse();
  }

  #onClient(client: Socket): void {
    this.accepted += 1;
    const [host = '', port = ''] = this.#upstream.split(':');
    const upstream = new Socket();
    const pair: Pair = { client, upstream };
    this.#pairs.add(pair);
    const end = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
    }
    this.#pump(client, upstream, (chunk) => this.#request(chunk));
    this.#pump(upstream, client, (chunk) => this.#reply(chunk));
    upstream.connect(Number(port), host);
    if (this.#paused) {
      client.pause();
      upstream.pause();
    }
  }

  #pump(from: Socket, to: Socket, filter: Filter): void {
    from.on('data', (chunk: Buffer) => {
      const kept = filter(chunk);
      if (kept === undefined) return;
      if (!to.write(kept)) {
        from.pause();
        to.once('drain', () => {
          if (!this.#paused) from.resume();
        });
      }
    });
  }

  #request(chunk: Buffer): Buffer | undefined {
    if (this.#dropRequests || this.#cutting) return undefined;
    const kept = this.#cutWithin('requests', chunk);
    this.sentBytes += kept.length;
    return kept;
  }

  #reply(chunk: Buffer): Buffer | undefined {
    if (this.#cutting) return undefined;
    if (this.#dropReplies) {
      for (const resolve of this.#onDropped.splice(0)) resolve();
      return undefined;
    }
    const kept = this.#cutWithin('replies', chunk);
    this.receivedBytes += kept.length;
    return kept;
  }

  /** What goes through before the cut that is due in this chunk. */
  #cutWithin(direction: 'requests' | 'replies', chunk: Buffer): Buffer {
    const cut = this.#cut;
    if (cut === undefined || cut.direction !== direction) return chunk;
    if (chunk.length < cut.bytes) {
      cut.bytes -= chunk.length;
      return chunk;
    }
    this.#cut = undefined;
    this.#cutting = true;
    // After what goes through has been written.
    setImmediate(() => this.cut());
    return chunk.subarray(0, cut.bytes);
  }
}
