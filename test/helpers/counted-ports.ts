/** Ports that count each step through them and know what is open, over those of a server. */

import type {
  ByteStream,
  Clock,
  Disk,
  DiskFile,
  KvStore,
  Network,
} from '../../src/common/index.js';
import type { ServerPorts } from '../../src/server/server.js';

/** What has happened at the ports, and what is there now. */
export class PortLedger {
  steps = 0;
  /** Timers armed so far. */
  timers = 0;
  /** Names of what is open. */
  readonly open = new Set<string>();
  /** Called at each step, with its number, before it is done. */
  onStep: (step: number, what: string) => void = () => {};
  #names = 0;

  step(what: string): void {
    this.steps += 1;
    this.onStep(this.steps, what);
  }

  /** Counts something as open; returns what counts it as closed. */
  opened(what: string): () => void {
    this.#names += 1;
    const name = `${what} #${this.#names}`;
    this.open.add(name);
    return () => this.open.delete(name);
  }
}

export function countedPorts(ports: ServerPorts, ledger: PortLedger): ServerPorts {
  const { peerNetwork } = ports;
  return {
    ...ports,
    clock: countedClock(ports.clock, ledger),
    disk: countedDisk(ports.disk, ledger),
    network: countedNetwork(ports.network, ledger),
    ...(peerNetwork === undefined ? {} : { peerNetwork: countedNetwork(peerNetwork, ledger) }),
    async openKvStore(dir) {
      ledger.step(`open the KvStore ${dir}`);
      return countedKvStore(await ports.openKvStore(dir), ledger, dir);
    },
  };
}

/** A timer that fires is a step. */
function countedClock(clock: Clock, ledger: PortLedger): Clock {
  return {
    nowMs: () => clock.nowMs(),
    wallMs: () => clock.wallMs(),
    after(delayMs, fire) {
      ledger.timers += 1;
      return clock.after(delayMs, () => {
        ledger.step('a timer');
        fire();
      });
    },
    afterTurn: (fire) => clock.afterTurn(fire),
  };
}

function countedDisk(disk: Disk, ledger: PortLedger): Disk {
  const counted = <Args extends unknown[], Result>(
    what: string,
    work: (...args: Args) => Result,
  ): ((...args: Args) => Result) => {
    return (...args) => {
      ledger.step(`${what} ${String(args[0])}`);
      return work(...args);
    };
  };
  return {
    async open(path, mode) {
      ledger.step(`open ${path}`);
      return countedFile(await disk.open(path, mode), ledger, path);
    },
    list: counted('list', (dir) => disk.list(dir)),
    mkdir: counted('mkdir', (dir) => disk.mkdir(dir)),
    mode: counted('mode', (dir) => disk.mode(dir)),
    rename: counted('rename', (from, to) => disk.rename(from, to)),
    remove: counted('remove', (path) => disk.remove(path)),
    syncDir: counted('syncDir', (dir) => disk.syncDir(dir)),
  };
}

function countedFile(file: DiskFile, ledger: PortLedger, path: string): DiskFile {
  const closed = ledger.opened(path);
  const step = (what: string): void => ledger.step(`${what} ${path}`);
  return {
    read(offset, length) {
      step('read');
      return file.read(offset, length);
    },
    write(offset, chunks) {
      step('write');
      return file.write(offset, chunks);
    },
    writeDurable(offset, chunks) {
      step('write durably');
      return file.writeDurable(offset, chunks);
    },
    sync() {
      step('sync');
      return file.sync();
    },
    truncate(size) {
      step('truncate');
      return file.truncate(size);
    },
    size() {
      step('size');
      return file.size();
    },
    async close() {
      step('close');
      await file.close();
      closed();
    },
  };
}

function countedKvStore(kv: KvStore, ledger: PortLedger, dir: string): KvStore {
  const closed = ledger.opened(`the KvStore ${dir}`);
  const step = (what: string): void => ledger.step(`${what} the KvStore ${dir}`);
  return {
    getMany(keys) {
      step('read');
      return kv.getMany(keys);
    },
    write(changes, options) {
      step('write');
      return kv.write(changes, options);
    },
    scan(range) {
      step('scan');
      return kv.scan(range);
    },
    view: () => kv.view(),
    compact(gte, lt) {
      step('compact');
      return kv.compact(gte, lt);
    },
    sizeBytes: () => kv.sizeBytes(),
    async close() {
      step('close');
      await kv.close();
      closed();
    },
  };
}

function countedNetwork(network: Network, ledger: PortLedger): Network {
  return {
    async listen(address, tls, onStream) {
      const where = JSON.stringify(address);
      ledger.step(`listen on ${where}`);
      const listener = await network.listen(address, tls, (stream) => {
        onStream(countedStream(stream, ledger, `a stream to ${where}`));
      });
      const closed = ledger.opened(`a listener on ${where}`);
      return {
        address: listener.address,
        keepAlive: (keeps) => listener.keepAlive(keeps),
        async close() {
          await listener.close();
          closed();
        },
      };
    },
    resolve(host) {
      ledger.step(`resolve ${host}`);
      return network.resolve(host);
    },
    async connect(address, tls, timeoutMs, signal) {
      const where = JSON.stringify(address);
      ledger.step(`connect to ${where}`);
      const done = ledger.opened(`dialling ${where}`);
      try {
        const stream = await network.connect(address, tls, timeoutMs, signal);
        return countedStream(stream, ledger, `a stream from ${where}`);
      } finally {
        done();
      }
    },
  };
}

function countedStream(stream: ByteStream, ledger: PortLedger, what: string): ByteStream {
  const closed = ledger.opened(what);
  return {
    remoteAddress: stream.remoteAddress,
    alpnProtocol: stream.alpnProtocol,
    identity: stream.identity,
    setHandler: (handler) =>
      stream.setHandler({
        onData: (chunk) => handler.onData(chunk),
        onEnd: () => handler.onEnd(),
        onDrain: () => handler.onDrain(),
        onClose(error) {
          closed();
          handler.onClose(error);
        },
      }),
    write: (chunk) => stream.write(chunk),
    cork: () => stream.cork(),
    uncork: () => stream.uncork(),
    backlogBytes: () => stream.backlogBytes(),
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    end: () => stream.end(),
    destroy(error) {
      closed();
      stream.destroy(error);
    },
  };
}
