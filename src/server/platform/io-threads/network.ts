/**
 * The Network port with its listeners in threads of their own (--io-threads): sockets and TLS are
 * there, and the core gets streams of bytes, through shared memory. Connections that are dialled
 * stay with the core. docs/adr/0013-io-threads.md says what that gains and what it costs.
 */

import { X509Certificate } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import {
  type ByteStream,
  ioRingBytes,
  type Listener,
  type Network,
  type NetworkAddress,
  sliceMsMax,
  type TlsOptions,
} from '../../../common/index.js';
import { nodeClock } from '../clock-node.js';
import { isCertificateFor } from '../tls-presented.js';
import {
  type FromThread,
  type PlainPresented,
  type PlainTls,
  plainTls,
  type ThreadStart,
} from './control.js';
import { makeDoorbell, Sleeper } from './doorbell.js';
import type { RemoteStream } from './remote-stream.js';
import { makeRing } from './ring.js';
import { type LinkOwner, ThreadLink } from './thread-link.js';

export interface ThreadedNetworkOptions {
  /** At least 1. Above 1 they share ports, which needs Node.js 22.12. */
  readonly threads: number;
  /** For what stays with the core, and for probing. */
  readonly base: Network;
  /** Other processes may listen on the same port (--socket-reuse-port). */
  readonly sharesPorts: boolean;
  /** The program of a thread, if it is not beside this one. */
  readonly entry?: URL;
  /** A thread ended by itself; without it that is thrown, and nobody catches it. */
  readonly onLost?: (error: unknown) => void;
}

export interface ThreadedNetwork extends Network {
  /** Ends the threads, and what is still open in them. */
  close(): void;
}

/** One listener, in one thread or in all. */
interface Group {
  readonly links: readonly ThreadLink[];
  readonly onStream: (stream: ByteStream) => void;
  readonly tls: TlsOptions | undefined;
  /** The TLS options that a thread has, as they were given by `current`. */
  readonly known: Map<ThreadLink, TlsOptions>;
  readonly waiting: Map<ThreadLink, (message: FromThread) => void>;
}

export function threadedNetwork(options: ThreadedNetworkOptions): ThreadedNetwork {
  const threads = new SocketThreads(options);
  const { base } = options;
  return {
    ...base,
    listen: (address, tls, onStream) => threads.listen(address, tls, onStream),
    close: () => threads.close(),
  };
}

class SocketThreads implements LinkOwner {
  readonly #options: ThreadedNetworkOptions;
  readonly #groups = new Map<number, Group>();
  readonly #keeping = new Set<number>();
  readonly #workers: Worker[] = [];
  #links: readonly ThreadLink[] = [];
  #groupsMade = 0;
  #turns = 0;
  #isClosed = false;

  constructor(options: ThreadedNetworkOptions) {
    this.#options = options;
  }

  async listen(
    address: NetworkAddress,
    tls: TlsOptions | undefined,
    onStream: (stream: ByteStream) => void,
  ): Promise<Listener> {
    if (this.#links.length === 0) this.#start();
    const id = this.#groupsMade++;
    const isPath = 'path' in address;
    const only = this.#links[id % this.#links.length] as ThreadLink;
    const links = isPath ? [only] : this.#links;
    const group = { links, onStream, tls, known: new Map(), waiting: new Map() };
    this.#groups.set(id, group);
    this.#keepAlive(id, true);
    try {
      const free = await this.#probed(address);
      // The first finds the port if any will do; a thread after it that fails ends them all.
      let bound = free;
      for (const link of links) bound = await this.#listenIn(link, id, group, bound);
      return {
        address: isPath ? address : bound,
        close: () => this.#closeGroup(id, group),
        keepAlive: (keeps) => this.#keepAlive(id, keeps),
      };
    } catch (error) {
      await this.#closeGroup(id, group);
      throw error;
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const link of this.#links) link.post({ type: 'stop' });
    this.#links = [];
  }

  // LinkOwner

  onStream(listener: number, stream: RemoteStream): void {
    const group = this.#groups.get(listener);
    if (group === undefined) stream.destroy();
    else group.onStream(stream);
  }

  #onMessage(link: ThreadLink, message: FromThread, worker: Worker): void {
    if (message.type === 'stopped') {
      void worker.terminate();
      return;
    }
    const { listener } = message;
    const group = this.#groups.get(listener);
    switch (message.type) {
      case 'askTls':
        void this.#answerTls(link, listener, group);
        break;
      case 'askDenial': {
        const { presented, question } = message;
        const now = group?.known.get(link);
        const denial = now?.denial?.({ ...presented, isFor: isForOf(presented) });
        link.post({ type: 'denial', question, denial });
        break;
      }
      case 'refused':
        group?.tls?.onRefused?.(message.refusal);
        break;
      default:
        group?.waiting.get(link)?.(message);
    }
  }

  #start(): void {
    const { entry = new URL('./socket-thread.js', import.meta.url), threads } = this.#options;
    const coreBell = makeDoorbell();
    const links = Array.from({ length: threads }, () => {
      const start: ThreadStart = {
        toCore: makeRing(ioRingBytes),
        toThread: makeRing(ioRingBytes),
        coreBell,
        threadBell: makeDoorbell(),
      };
      const worker = new Worker(entry, { workerData: start, name: 'sockets' });
      worker.on('error', (error) => this.#lost(error));
      worker.on('exit', (code) => {
        this.#lost(new Error(`a thread with sockets ended by itself, with ${code}`));
      });
      worker.unref();
      this.#workers.push(worker);
      const link = new ThreadLink(start, this, (message) => worker.postMessage(message));
      worker.on('message', (message: FromThread) => this.#onMessage(link, message, worker));
      return link;
    });
    this.#links = links;
    new Sleeper(coreBell, () => this.#work());
  }

  /** Its streams would hang for ever, so whoever has no other idea ends as by any other bug. */
  #lost(error: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { onLost } = this.#options;
    if (onLost === undefined) throw error;
    onLost(error);
  }

  /** What all threads have brought, for one slice of time; false: nothing. */
  #work(): boolean {
    const links = this.#links;
    const untilMs = nodeClock.nowMs() + sliceMsMax;
    let hasWorked = false;
    // Whoever comes last may find no time left: each turn that is another one.
    this.#turns += 1;
    for (let i = 0; i < links.length; i += 1) {
      const link = links[(this.#turns + i) % links.length] as ThreadLink;
      hasWorked = link.work(untilMs) || hasWorked;
    }
    return hasWorked;
  }

  /** Threads share their ports; others shall not, unknown to both, unless they are allowed to. */
  async #probed(address: NetworkAddress): Promise<NetworkAddress> {
    const { base, sharesPorts, threads } = this.#options;
    if ('path' in address || threads === 1 || sharesPorts) return address;
    const probe = await base.listen(address, undefined, (stream) => stream.destroy());
    await probe.close();
    return probe.address;
  }

  async #listenIn(
    link: ThreadLink,
    listener: number,
    group: Group,
    address: NetworkAddress,
  ): Promise<NetworkAddress> {
    const { sharesPorts, threads } = this.#options;
    const { tls } = group;
    let plain: PlainTls | undefined;
    if (tls !== undefined) {
      group.known.set(link, tls);
      plain = plainTls(tls);
    }
    link.post({
      type: 'listen',
      listener,
      address,
      sharesPort: (threads > 1 || sharesPorts) && !('path' in address),
      tls: plain,
      asksTls: tls?.current !== undefined,
    });
    const answer = await this.#answerOf(group, link);
    if (answer.type === 'failed')
      throw Object.assign(new Error(answer.error.message), answer.error);
    return answer.type === 'listens' ? answer.address : address;
  }

  #answerOf(group: Group, link: ThreadLink): Promise<FromThread> {
    return new Promise((resolve) => group.waiting.set(link, resolve));
  }

  async #closeGroup(id: number, group: Group): Promise<void> {
    if (!this.#isClosed) {
      const closed = group.links.map((link) => this.#answerOf(group, link));
      for (const link of group.links) link.post({ type: 'close', listener: id });
      await Promise.all(closed);
    }
    this.#keepAlive(id, false);
    // Handshakes under way go on, as without threads: what comes of them is the owner's.
  }

  /** In the order of the questions, as `current` is asked one after the other. */
  async #answerTls(link: ThreadLink, listener: number, group: Group | undefined): Promise<void> {
    const asked = group?.tls?.current?.();
    const now = asked instanceof Promise ? await asked : asked;
    const isNew = now !== undefined && group?.known.get(link) !== now;
    if (isNew) group?.known.set(link, now);
    link.post({ type: 'tls', listener, tls: isNew ? plainTls(now) : undefined });
  }

  #keepAlive(id: number, keeps: boolean): void {
    if (keeps) this.#keeping.add(id);
    else this.#keeping.delete(id);
    for (const worker of this.#workers) {
      if (this.#keeping.size > 0) worker.ref();
      else worker.unref();
    }
  }
}

function isForOf({ der }: PlainPresented): (host: string) => boolean {
  let certificate: X509Certificate | undefined;
  return (host) => {
    certificate ??= new X509Certificate(der);
    return isCertificateFor(certificate, host);
  };
}
