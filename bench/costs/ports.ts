/**
 * Ports of a server that count and keep nothing, so that what is allocated is the server's own:
 * what is written durably, and what goes to the database, is gone. A server on them can't be
 * started a second time, nor read what is not in memory.
 */

import type {
  ByteStream,
  ByteStreamHandler,
  Clock,
  Disk,
  DiskFile,
  KvChange,
  KvStore,
  Network,
} from '../../src/common/index.js';
import type { ServerPorts } from '../../src/server/index.js';
import { memoryPorts } from '../../src/sim/member/index.js';
import type { PortCounters } from './counters.js';

const noIdentity = { commonName: '', certificateVerified: false };

/** The ports, and how to connect to the server on them. */
export interface CostPorts {
  readonly ports: ServerPorts;
  /** A connection; `onWritten` gets each chunk that the server writes to it. */
  connect(onWritten: (chunk: Uint8Array) => void): ByteStreamHandler;
}

/** New ports that count in `counters`. */
export function costPorts(counters: PortCounters): CostPorts {
  const memory = memoryPorts();
  const { network, connect } = directNetwork(counters);
  return {
    ports: {
      ...memory,
      network,
      peerNetwork: memory.network,
      clock: countedClock(memory.clock, counters),
      disk: countedDisk(memory.disk, counters),
      openKvStore: async () => forgetfulKvStore(counters),
    },
    connect,
  };
}

/** A network on which a server listens once, and clients are function calls. */
export function directNetwork(counters: PortCounters): Pick<CostPorts, 'connect'> & {
  readonly network: Network;
} {
  let accept: ((stream: ByteStream) => void) | undefined;
  const network: Network = {
    async listen(address, _tls, onStream) {
      accept = onStream;
      return { address, close: async () => {}, keepAlive() {} };
    },
    connect: () => Promise.reject(new Error('there is nobody else')),
    resolve: async (host) => [host],
  };
  return {
    network,
    connect(onWritten) {
      if (accept === undefined) throw new Error('the server does not listen yet');
      const stream = new CountedStream(counters, onWritten);
      accept(stream);
      if (stream.handler === undefined) throw new Error('the server did not take the connection');
      return stream.handler;
    },
  };
}

/** A socket that takes everything at once: each write, or corked group of them, is a system call. */
class CountedStream implements ByteStream {
  readonly remoteAddress = '127.0.0.1:1';
  readonly alpnProtocol = '';
  readonly identity = noIdentity;
  handler: ByteStreamHandler | undefined;
  readonly #counters: PortCounters;
  readonly #onWritten: (chunk: Uint8Array) => void;
  #isCorked = false;

  constructor(counters: PortCounters, onWritten: (chunk: Uint8Array) => void) {
    this.#counters = counters;
    this.#onWritten = onWritten;
  }

  setHandler(handler: ByteStreamHandler): void {
    this.handler = handler;
  }

  write(chunk: Uint8Array): boolean {
    if (!this.#isCorked) this.#counters.socketWrites += 1;
    this.#counters.socketBytes += chunk.length;
    this.#onWritten(chunk);
    return true;
  }

  cork(): void {
    this.#isCorked = true;
  }

  uncork(): void {
    if (this.#isCorked) this.#counters.socketWrites += 1;
    this.#isCorked = false;
  }

  backlogBytes(): number {
    return 0;
  }

  pause(): void {}

  resume(): void {}

  end(): void {}

  destroy(error?: Error): void {
    if (this.#counters.isMeasured) {
      throw new Error('the server ended the connection', { cause: error });
    }
  }
}

function countedClock(clock: Clock, counters: PortCounters): Clock {
  return {
    nowMs: () => clock.nowMs(),
    wallMs: () => clock.wallMs(),
    after(delayMs, fire) {
      counters.timers += 1;
      return clock.after(delayMs, fire);
    },
    afterTurn: (fire) => clock.afterTurn(fire),
  };
}

function countedDisk(disk: Disk, counters: PortCounters): Disk {
  return {
    ...disk,
    open: async (path, mode) => countedFile(await disk.open(path, mode), counters),
  };
}

/** Durable writes are done one turn later, as if a thread had done them. */
function countedFile(file: DiskFile, counters: PortCounters): DiskFile {
  return {
    read: (offset, length) => file.read(offset, length),
    write: (offset, chunks) => file.write(offset, chunks),
    writeDurable(_offset, chunks) {
      counters.diskWrites += 1;
      for (const chunk of chunks) counters.diskBytes += chunk.length;
      return new Promise((resolve) => setImmediate(resolve));
    },
    sync: () => file.sync(),
    truncate: (size) => file.truncate(size),
    size: () => file.size(),
    close: () => file.close(),
  };
}

function forgetfulKvStore(counters: PortCounters): KvStore {
  return {
    getMany: async (keys) => keys.map(() => undefined),
    write(changes: readonly KvChange[]) {
      counters.kvWrites += 1;
      for (const { key, value } of changes) counters.kvBytes += key.length + (value?.length ?? 0);
      return new Promise((resolve) => setImmediate(resolve));
    },
    scan: async () => [],
    view: () => ({ scan: async () => [], close: async () => {} }),
    compact: async () => {},
    sizeBytes: async () => 0,
    close: async () => {},
  };
}
