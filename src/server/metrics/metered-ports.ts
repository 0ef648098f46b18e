/**
 * Ports that measure what passes through them into a {@link Metrics}: the log's writes, LevelDB's
 * batches, the bytes of client sockets. They wrap whatever port a server is given, so storage and
 * transport know nothing of metrics.
 */

import type {
  ByteStream,
  ByteStreamHandler,
  Clock,
  Disk,
  DiskFile,
  KvStore,
  Network,
  OpenKvStore,
} from '../../common/index.js';
import type { Metrics } from './metrics.js';

/** Measures durable writes: what the write-ahead log does. */
export function meteredDisk(disk: Disk, clock: Clock, metrics: Metrics): Disk {
  return {
    open: async (path, mode) => meteredFile(await disk.open(path, mode), clock, metrics),
    list: (dir) => disk.list(dir),
    mkdir: (dir) => disk.mkdir(dir),
    mode: (dir) => disk.mode(dir),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDir: (dir) => disk.syncDir(dir),
  };
}

function meteredFile(file: DiskFile, clock: Clock, metrics: Metrics): DiskFile {
  return {
    read: (offset, length) => file.read(offset, length),
    write: (offset, chunks) => file.write(offset, chunks),
    async writeDurable(offset, chunks) {
      let bytes = 0;
      for (const chunk of chunks) bytes += chunk.length;
      const startMs = clock.nowMs();
      await file.writeDurable(offset, chunks);
      // One operation writes and syncs, so both of etcd's histograms see the same time.
      const seconds = (clock.nowMs() - startMs) / 1000;
      metrics.walFsync.observe(seconds);
      metrics.walWrite.observe(seconds);
      metrics.walBytesWritten += bytes;
    },
    sync: () => file.sync(),
    truncate: (size) => file.truncate(size),
    size: () => file.size(),
    close: () => file.close(),
  };
}

/** Measures batches, and counts what is read one by one. */
export function meteredKvStore(open: OpenKvStore, clock: Clock, metrics: Metrics): OpenKvStore {
  return async (dir) => {
    const kv = await open(dir);
    const metered: KvStore = {
      getMany(keys) {
        metrics.coldRecords += keys.length;
        return kv.getMany(keys);
      },
      async write(changes, options) {
        const startMs = clock.nowMs();
        await kv.write(changes, options);
        metrics.backendCommit.observe((clock.nowMs() - startMs) / 1000);
      },
      scan: (range) => kv.scan(range),
      view: () => kv.view(),
      compact: (gte, lt) => kv.compact(gte, lt),
      sizeBytes: () => kv.sizeBytes(),
      close: () => kv.close(),
    };
    return metered;
  };
}

/** Counts the bytes of accepted connections, as they are inside of TLS. */
export function meteredNetwork(network: Network, metrics: Metrics): Network {
  return {
    listen: (address, tls, onStream) =>
      network.listen(address, tls, (stream) => onStream(new MeteredStream(stream, metrics))),
    connect: (address, tls, timeoutMs, signal) => network.connect(address, tls, timeoutMs, signal),
    resolve: (host) => network.resolve(host),
  };
}

class MeteredStream implements ByteStream, ByteStreamHandler {
  readonly #stream: ByteStream;
  readonly #metrics: Metrics;
  #handler: ByteStreamHandler | undefined;

  constructor(stream: ByteStream, metrics: Metrics) {
    this.#stream = stream;
    this.#metrics = metrics;
  }

  get remoteAddress(): string {
    return this.#stream.remoteAddress;
  }

  get alpnProtocol(): string {
    return this.#stream.alpnProtocol;
  }

  get identity() {
    return this.#stream.identity;
  }

  setHandler(handler: ByteStreamHandler): void {
    const isFirst = this.#handler === undefined;
    this.#handler = handler;
    if (isFirst) this.#stream.setHandler(this);
  }

  write(chunk: Uint8Array): boolean {
    this.#metrics.clientBytesSent += chunk.length;
    return this.#stream.write(chunk);
  }

  cork(): void {
    this.#stream.cork();
  }

  uncork(): void {
    this.#stream.uncork();
  }

  backlogBytes(): number {
    return this.#stream.backlogBytes();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  end(): void {
    this.#stream.end();
  }

  destroy(error?: Error): void {
    this.#stream.destroy(error);
  }

  onData(chunk: Buffer): void {
    this.#metrics.clientBytesReceived += chunk.length;
    this.#handler?.onData(chunk);
  }

  onEnd(): void {
    this.#handler?.onEnd();
  }

  onDrain(): void {
    this.#handler?.onDrain();
  }

  onClose(error: Error | undefined): void {
    this.#handler?.onClose(error);
  }
}
