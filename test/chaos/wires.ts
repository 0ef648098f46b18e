/**
 * The wires between members: each member's peer URL leads to a proxy here, which looks up who
 * dialled (a socket's port belongs to one process) and so can treat every pair of members, and each
 * direction of a pair, on its own.
 *
 * A byte stream can't lose bytes in the middle. What a lossy network does to it is delay: a packet
 * that is lost comes again after a time that doubles with each loss, and holds up all behind it. A
 * cut wire holds everything back; when it is mended the bytes go on, or the connection is reset.
 */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { SimRandom } from '../../src/sim/index.js';

/** How bytes fare in one direction between two members. */
export interface Weather {
  readonly cut: boolean;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  /** Of a piece of at most 64 KiB. */
  readonly lossChance: number;
}

export const fair: Weather = { cut: false, delayMsMin: 0, delayMsMax: 0, lossChance: 0 };
export const cut: Weather = { ...fair, cut: true };
/** The first of TCP's pauses before it sends again. */
const resendMs = 200;
/** More than this waits: the sender is not read any more, as with a full socket. */
const waitingBytesMax = 1024 * 1024;
const resetChance = 0.5;

/** Who a process is, for the wires. */
export type NameOfProcess = (pid: number) => string | undefined;

export class Wires {
  readonly #random: SimRandom;
  /** Processes of members, by id. */
  readonly #processes: () => ReadonlyMap<number, string>;
  readonly #servers = new Map<string, Server>();
  readonly #links = new Set<Link>();
  #weather = new Map<string, Weather>();
  connections = 0;
  bytes = 0;

  constructor(random: SimRandom, processes: () => ReadonlyMap<number, string>) {
    this.#random = random;
    this.#processes = processes;
  }

  /** A port that leads to `port` of the member; resolves with it. */
  async expose(member: string, port: number): Promise<number> {
    const server = createServer({ noDelay: true }, (socket) => this.#accept(member, port, socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    this.#servers.set(member, server);
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Sets the weather of one direction. */
  set(from: string, to: string, weather: Weather): void {
    this.#weather.set(key(from, to), weather);
    for (const link of this.#links) link.wake();
  }

  weather(from: string, to: string): Weather {
    return this.#weather.get(key(from, to)) ?? fair;
  }

  /** Everything is fair again; some connections that stood still do not live through it. */
  heal(): void {
    const before = this.#weather;
    this.#weather = new Map();
    for (const link of this.#links) {
      const was = [key(link.from, link.to), key(link.to, link.from)];
      const stood = was.some((direction) => before.get(direction)?.cut === true);
      if (stood && this.#random.chance(resetChance)) link.destroy();
      else link.wake();
    }
  }

  /** Resets all connections of a member, or of all. */
  reset(member?: string): void {
    for (const link of [...this.#links]) {
      if (member === undefined || link.from === member || link.to === member) link.destroy();
    }
  }

  close(): void {
    for (const server of this.#servers.values()) server.close();
    this.reset();
  }

  #accept(to: string, port: number, incoming: Socket): void {
    const from = ownerOf(incoming.remotePort ?? 0, this.#processes()) ?? 'somebody';
    this.connections += 1;
    const outgoing = connect({ port, host: '127.0.0.1', noDelay: true });
    const link = new Link(this, this.#random, from, to, incoming, outgoing, () => {
      this.#links.delete(link);
    });
    this.#links.add(link);
  }
}

function key(from: string, to: string): string {
  return `${from}>${to}`;
}

/** A connection through a proxy: two directions. */
class Link {
  readonly from: string;
  readonly to: string;
  readonly #there: Direction;
  readonly #back: Direction;
  readonly #sockets: readonly Socket[];

  constructor(
    wires: Wires,
    random: SimRandom,
    from: string,
    to: string,
    incoming: Socket,
    outgoing: Socket,
    onGone: () => void,
  ) {
    this.from = from;
    this.to = to;
    this.#sockets = [incoming, outgoing];
    this.#there = new Direction(incoming, outgoing, random, wires, () => wires.weather(from, to));
    this.#back = new Direction(outgoing, incoming, random, wires, () => wires.weather(to, from));
    for (const socket of this.#sockets) {
      socket.on('error', () => this.destroy());
      socket.once('close', () => {
        this.destroy();
        onGone();
      });
    }
  }

  wake(): void {
    this.#there.wake();
    this.#back.wake();
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

interface Piece {
  readonly bytes: Buffer;
  readonly dueMs: number;
}

/** Bytes from one socket to another, as the weather lets them. */
class Direction {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #random: SimRandom;
  readonly #wires: Wires;
  readonly #weather: () => Weather;
  readonly #waiting: Piece[] = [];
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    source: Socket,
    sink: Socket,
    random: SimRandom,
    wires: Wires,
    weather: () => Weather,
  ) {
    this.#source = source;
    this.#sink = sink;
    this.#random = random;
    this.#wires = wires;
    this.#weather = weather;
    source.on('data', (bytes) => this.#take(bytes));
    source.on('end', () => {
      // What waits would be lost; a peer that ends orderly is rare enough to wait for it.
      if (this.#waiting.length === 0) sink.end();
      else source.destroy();
    });
    sink.on('drain', () => {
      if (this.#waitingBytes < waitingBytesMax) source.resume();
    });
  }

  #take(bytes: Buffer): void {
    const { cut: isCut, delayMsMin, delayMsMax, lossChance } = this.#weather();
    this.#wires.bytes += bytes.length;
    if (!isCut && delayMsMax === 0 && lossChance === 0 && this.#waiting.length === 0) {
      this.#write(bytes);
      return;
    }
    let delayMs = delayMsMin + (delayMsMax - delayMsMin) * this.#random.float();
    for (let pause = resendMs; this.#random.chance(lossChance) && pause < 4000; pause *= 2) {
      delayMs += pause;
    }
    // In order: nothing overtakes what was sent before.
    const last = this.#waiting.at(-1)?.dueMs ?? 0;
    this.#waiting.push({ bytes, dueMs: Math.max(last, performance.now() + delayMs) });
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes >= waitingBytesMax) this.#source.pause();
    this.wake();
  }

  /** Sends what is due; looks again when the next is. */
  wake(): void {
    clearTimeout(this.#timer);
    if (this.#weather().cut || this.#sink.destroyed) return;
    for (;;) {
      const next = this.#waiting[0];
      if (next === undefined) break;
      const leftMs = next.dueMs - performance.now();
      if (leftMs > 0) {
        this.#timer = setTimeout(() => this.wake(), leftMs);
        this.#timer.unref();
        break;
      }
      this.#waiting.shift();
      this.#waitingBytes -= next.bytes.length;
      this.#write(next.bytes);
    }
    if (this.#waitingBytes < waitingBytesMax) this.#source.resume();
  }

  #write(bytes: Buffer): void {
    if (!this.#sink.destroyed && !this.#sink.write(bytes)) this.#source.pause();
  }
}

/** The table may change while it is read, and an entry be missed. */
const ownerTries = 5;

/** The member whose process has the socket of this port of the loopback; Linux only. */
function ownerOf(port: number, processes: ReadonlyMap<number, string>): string | undefined {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (let tries = 0; tries < ownerTries; tries++) {
    for (const text of readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
      const fields = text.trim().split(/\s+/);
      // An earlier connection of the same port may still wait for its end; it has no socket.
      if (fields[1] !== local || fields[9] === '0') continue;
      const wanted = `socket:[${fields[9]}]`;
      for (const [pid, name] of processes) if (hasSocket(pid, wanted)) return name;
    }
  }
  return undefined;
}

function hasSocket(pid: number, wanted: string): boolean {
  try {
    const dir = `/proc/${pid}/fd`;
    return readdirSync(dir).some((fd) => {
      try {
        return readlinkSync(`${dir}/${fd}`) === wanted;
      } catch {
        return false; // closed meanwhile
      }
    });
  } catch {
    return false; // the process is gone
  }
}
