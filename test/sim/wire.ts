/**
 * What is between the members: a PeerTransport that delivers whole messages late, twice, in another
 * order or not at all, as chance and the faults of the run decide. Blocks are one way and by name
 * of machine. Nothing reaches a process that is gone; what reaches one that is stopped waits.
 */

import { type Clock, EtcdError, type MemberId } from '../../src/common/index.js';
import type { SimClock, SimRandom } from '../../src/common/sim/index.js';
import type { Message } from '../../src/raft/index.js';
import type {
  PeerAddress,
  PeerHandler,
  PeerHello,
  PeerMethod,
  PeerTransport,
} from '../../src/server/peers/types.js';

export interface WireOptions {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly latencyMs: { readonly min: number; readonly max: number };
  readonly loss: number;
  readonly duplication: number;
}

/** One end: the transport of a process, for as long as that lives. */
interface End {
  readonly machine: string;
  readonly url: string;
  readonly clock: Clock;
  readonly hello: () => PeerHello | undefined;
  handler: PeerHandler | undefined;
  peers: ReadonlyMap<MemberId, string>;
  startedMs: number;
  alive: boolean;
  /** Told `unreachable` in this turn. */
  readonly unreachable: Set<MemberId>;
}

/** How often a broken snapshot stream is taken up again. */
const resumesMax = 5;

/** The network between all members of a simulation. */
export class SimWire {
  readonly #o: WireOptions;
  readonly #ends = new Map<string, End>();
  readonly #blocked = new Set<string>();
  /** When each pair of machines could last not talk. */
  readonly #brokenMs = new Map<string, number>();
  /** Raised by faults. */
  loss: number;
  duplication: number;
  /** Multiplies all latencies. */
  slowness = 1;
  /** Chance that a message takes many times as long as others, and so is overtaken. */
  straggling = 0;
  delivered = 0;
  dropped = 0;
  duplicated = 0;
  /** Called for each message that arrives. */
  onDelivery: (message: Message) => void = () => {};

  constructor(options: WireOptions) {
    this.#o = options;
    this.loss = options.loss;
    this.duplication = options.duplication;
  }

  /** The transport of a process that starts on `machine`. */
  connect(
    machine: string,
    url: string,
    clock: Clock,
    hello: () => PeerHello | undefined,
  ): { readonly transport: PeerTransport; kill(): void } {
    const end: End = {
      machine,
      url,
      clock,
      hello,
      handler: undefined,
      peers: new Map(),
      startedMs: 0,
      alive: true,
      unreachable: new Set(),
    };
    const kill = (): void => {
      end.alive = false;
      if (this.#ends.get(url) === end) this.#ends.delete(url);
    };
    return { transport: new Transport(this, end, kill), kill };
  }

  /** Nothing sent by `from` reaches `to` from now on. */
  block(from: string, to: string): void {
    this.#blocked.add(`${from}>${to}`);
  }

  unblock(from: string, to: string): void {
    this.#blocked.delete(`${from}>${to}`);
    this.#brokenMs.set(pair(from, to), this.#o.clock.nowMs());
  }

  isBlocked(from: string, to: string): boolean {
    return this.#blocked.has(`${from}>${to}`);
  }

  /** As if no fault had ever been; also the losses that the knobs have. */
  heal(): void {
    for (const link of [...this.#blocked]) {
      const [from = '', to = ''] = link.split('>');
      this.unblock(from, to);
    }
    this.loss = 0;
    this.duplication = 0;
    this.slowness = 1;
    this.straggling = 0;
  }

  /** Back to the losses that the knobs have. */
  calm(): void {
    this.loss = this.#o.loss;
    this.duplication = this.#o.duplication;
    this.slowness = 1;
    this.straggling = 0;
  }

  // ---- for Transport

  listen(end: End, handler: PeerHandler): void {
    end.handler = handler;
    end.startedMs = this.#o.clock.nowMs();
    this.#ends.set(end.url, end);
  }

  /** The process that listens at `url`, if the two can talk. */
  other(end: End, url: string | undefined): End | undefined {
    const to = url === undefined ? undefined : this.#ends.get(url);
    if (to === undefined || !to.alive || !end.alive) return undefined;
    const open =
      !this.isBlocked(end.machine, to.machine) && !this.isBlocked(to.machine, end.machine);
    return open ? to : undefined;
  }

  send(end: End, message: Message): void {
    const { random } = this.#o;
    const url = end.peers.get(message.to);
    if (url === undefined || random.chance(this.loss)) {
      this.#drop(end, message.to);
      return;
    }
    // A repeated proposal is another proposal (raft/types.ts): links must not repeat those.
    const mayRepeat = message.type !== 'ForwardProposal';
    const copies = mayRepeat && random.chance(this.duplication) ? 2 : 1;
    if (copies > 1) this.duplicated += 1;
    for (let i = 0; i < copies; i += 1) {
      this.#o.clock.after(this.latencyMs(), () => this.#arrive(end, url, message));
    }
  }

  latencyMs(): number {
    const { random, latencyMs } = this.#o;
    const one = latencyMs.min + random.float() * (latencyMs.max - latencyMs.min);
    const straggles = this.straggling > 0 && random.chance(this.straggling);
    return one * this.slowness * (straggles ? 1 + 20 * random.float() : 1);
  }

  connectedSinceMs(end: End, url: string | undefined): number | undefined {
    const to = this.other(end, url);
    if (to === undefined) return undefined;
    const broken = this.#brokenMs.get(pair(end.machine, to.machine)) ?? 0;
    return Math.max(broken, end.startedMs, to.startedMs);
  }

  #arrive(end: End, url: string, message: Message): void {
    const to = this.#ends.get(url);
    if (to === undefined || this.isBlocked(end.machine, to.machine)) {
      this.#drop(end, message.to);
      return;
    }
    const hello = end.hello();
    if (hello === undefined) return;
    // On the clock of the receiver: it may be stopped, or gone when it goes on.
    to.clock.afterTurn(() => {
      const { handler } = to;
      if (!to.alive || handler === undefined) return;
      const refusal = handler.admit(hello, message.to);
      if (refusal !== undefined) {
        end.clock.afterTurn(() => {
          if (end.alive) end.handler?.refused(message.to, refusal);
        });
        return;
      }
      this.delivered += 1;
      this.onDelivery(message);
      handler.message(message);
    });
  }

  #drop(end: End, member: MemberId): void {
    this.dropped += 1;
    if (!end.alive || end.unreachable.has(member)) return;
    end.unreachable.add(member);
    end.clock.afterTurn(() => {
      end.unreachable.delete(member);
      if (end.alive) end.handler?.unreachable(member);
    });
  }

  /** One way, as a call or its answer goes; false: it got lost. */
  travel(from: End, to: End): Promise<boolean> {
    const { clock, random } = this.#o;
    return new Promise((resolve) => {
      const isLost = random.chance(this.loss);
      clock.after(this.latencyMs(), () => {
        const arrives = !isLost && to.alive && !this.isBlocked(from.machine, to.machine);
        if (!arrives) resolve(false);
        else to.clock.afterTurn(() => resolve(to.alive));
      });
    });
  }
}

class Transport implements PeerTransport {
  readonly #wire: SimWire;
  readonly #end: End;
  readonly #kill: () => void;

  constructor(wire: SimWire, end: End, kill: () => void) {
    this.#wire = wire;
    this.#end = end;
    this.#kill = kill;
  }

  async start(handler: PeerHandler): Promise<void> {
    this.#wire.listen(this.#end, handler);
  }

  setPeers(peers: readonly PeerAddress[]): void {
    this.#end.peers = new Map(peers.map(({ id, peerUrls }) => [id, peerUrls[0] ?? '']));
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) this.#wire.send(this.#end, message);
  }

  call(member: MemberId, method: PeerMethod, body: Uint8Array, timeoutMs: number): Promise<Buffer> {
    const from = this.#end.hello()?.memberId ?? 0n;
    return this.#ask(this.#end.peers.get(member), from, method, body, timeoutMs);
  }

  callUrl(url: string, method: PeerMethod, body: Uint8Array, timeoutMs: number): Promise<Buffer> {
    return this.#ask(url, 0n, method, body, timeoutMs);
  }

  async fetchSnapshot(
    member: MemberId,
    receive: (piece: Uint8Array) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const end = this.#end;
    const url = end.peers.get(member);
    const first = this.#wire.other(end, url);
    if (first === undefined || !(await this.#wire.travel(end, first))) throw unavailable();
    const feed = await first.handler?.openSnapshot();
    if (feed === undefined) throw unavailable();
    let position: Uint8Array = new Uint8Array(0);
    let resumes = 0;
    try {
      while (!signal.aborted) {
        const there = this.#wire.other(end, url);
        if (there !== undefined && there !== first) throw unavailable();
        const piece = first.alive ? await feed.next(position) : undefined;
        if (piece === undefined && first.alive) return;
        const arrived = there !== undefined && (await this.#wire.travel(first, end));
        if (!arrived || piece === undefined) {
          resumes += 1;
          if (resumes > resumesMax || !first.alive) throw unavailable();
          await new Promise<void>((resolve) => end.clock.after(20, resolve));
          continue;
        }
        await receive(piece.data);
        position = piece.position;
      }
      throw unavailable();
    } finally {
      if (first.alive) await feed.close();
    }
  }

  connectedSinceMs(member: MemberId): number | undefined {
    return this.#wire.connectedSinceMs(this.#end, this.#end.peers.get(member));
  }

  async stop(): Promise<void> {
    this.#kill();
  }

  #ask(
    url: string | undefined,
    from: MemberId,
    method: PeerMethod,
    body: Uint8Array,
    timeoutMs: number,
  ): Promise<Buffer> {
    const end = this.#end;
    return new Promise((resolve, reject) => {
      const timer = end.clock.after(timeoutMs, () => reject(new EtcdError('TIMEOUT')));
      const done = (settle: () => void): void => {
        timer.cancel();
        settle();
      };
      this.#exchange(url, from, method, body).then(
        (answer) => {
          // Lost: only the time limit tells.
          if (answer !== undefined) done(() => resolve(Buffer.from(answer)));
        },
        (error: unknown) => done(() => reject(error)),
      );
    });
  }

  async #exchange(
    url: string | undefined,
    from: MemberId,
    method: PeerMethod,
    body: Uint8Array,
  ): Promise<Uint8Array | undefined> {
    const end = this.#end;
    const to = this.#wire.other(end, url);
    if (to === undefined) {
      await new Promise<void>((resolve) => end.clock.after(1, resolve));
      throw unavailable();
    }
    if (!(await this.#wire.travel(end, to)) || to.handler === undefined) return undefined;
    let answer: Uint8Array | undefined;
    let error: unknown;
    try {
      answer = await to.handler.call(from, method, body);
    } catch (thrown) {
      error = thrown;
    }
    if (!(await this.#wire.travel(to, end))) return undefined;
    if (answer === undefined) throw error;
    return answer;
  }
}

function unavailable(): EtcdError {
  return new EtcdError('UNHEALTHY');
}

function pair(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}
