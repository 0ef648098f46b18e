/**
 * A thread that owns sockets: it accepts, does TLS and HTTP/2 with the server of src/transport, and
 * hands each whole message to the core. What it does not know: what a message means.
 */

import { readlinkSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import {
  emptyBytes,
  type GrpcCode,
  silentLogger,
  type TlsOptions,
} from '../../../src/common/index.js';
import { nodeClock } from '../../../src/server/platform/index.js';
import { DoorbellButton, Sleeper } from '../../../src/server/platform/io-threads/doorbell.js';
import {
  type RecordSink,
  type RingMemory,
  RingReader,
  RingWriter,
} from '../../../src/server/platform/io-threads/ring.js';
import { portSharingNetwork } from '../../../src/server/platform/network-node.js';
import {
  createGrpcServer,
  type MethodHandler,
  type PeerOfCall,
  type ServerCall,
} from '../../../src/transport/index.js';
import {
  Assembler,
  type CallHead,
  fromCore,
  fromSockets,
  guardKeys,
  kindMask,
  methodShift,
  moreFlag,
  Outbox,
  userAgentKey,
} from './records.js';

/** What a thread is started with. */
export interface SocketsOrder {
  readonly port: number;
  readonly tls: TlsOptions | undefined;
  /** Full names; a call names its method by the place in here. */
  readonly methods: ReadonlyArray<readonly [string, MethodHandler['kind']]>;
  readonly toCore: RingMemory;
  readonly toSockets: RingMemory;
  readonly coreBell: SharedArrayBuffer;
  readonly socketsBell: SharedArrayBuffer;
}

/** Answers up to this are copied by the transport, and may lie in the ring until then. */
const borrowedBytesMax = 2_048;

/** The heads that calls of a connection had, by what the guards ask for. */
interface KnownHead {
  readonly id: number;
  readonly values: ReadonlyArray<string | undefined>;
}

class Calls implements RecordSink {
  readonly #out: Outbox;
  readonly #core: DoorbellButton;
  readonly #ring: RingReader;
  readonly #assembler = new Assembler();
  readonly #calls: Array<ServerCall | undefined> = [];
  readonly #free: number[] = [];
  readonly #heads = new WeakMap<PeerOfCall, KnownHead>();
  #headsMade = 0;

  constructor({ toCore, toSockets, coreBell, socketsBell }: SocketsOrder) {
    this.#out = new Outbox(new RingWriter(toCore));
    this.#ring = new RingReader(toSockets);
    this.#core = new DoorbellButton(coreBell);
    new Sleeper(socketsBell, () => this.#work());
  }

  methods(names: SocketsOrder['methods']): ReadonlyMap<string, MethodHandler> {
    return new Map(
      names.map(([name, kind], index): [string, MethodHandler] => {
        if (kind === 'bidi') return [name, { kind, handle: (call) => this.#stream(index, call) }];
        return [name, { kind, handle: (request, call) => this.#call(index, request, call) }];
      }),
    );
  }

  onRecord(kind: number, slot: number, extra: number, from: Buffer, start: number, end: number) {
    const payload = this.#assembler.take(kind, slot, from, start, end);
    const call = this.#calls[slot];
    if (payload === undefined || call === undefined) return;
    switch (kind & kindMask) {
      case fromCore.reply:
        this.#forget(slot);
        if (payload.length <= borrowedBytesMax) call.reply(payload);
        else call.replyParts([Buffer.from(payload)]);
        break;
      case fromCore.failed:
        this.#forget(slot);
        call.fail(extra as GrpcCode, payload.toString());
        break;
      case fromCore.send:
        if (!call.send(Buffer.from(payload))) this.#tell(fromSockets.full, slot);
        break;
      case fromCore.ended:
        this.#forget(slot);
        call.end();
        break;
      case fromCore.dropped:
        this.#forget(slot);
        break;
      case fromCore.pause:
        call.pause();
        break;
      case fromCore.resume:
        call.resume();
        break;
    }
  }

  #work(): boolean {
    const records = this.#ring.drain(this);
    const flushed = this.#out.flush();
    if (flushed || (records > 0 && this.#ring.takeWish())) this.#core.press();
    return records > 0 || flushed;
  }

  #call(method: number, request: Buffer, call: ServerCall): void {
    const slot = this.#slotOf(call);
    const head = this.#headOf(call);
    this.#out.put(fromSockets.call | (method << methodShift), slot, head, request);
    this.#core.press();
  }

  #stream(method: number, call: ServerCall): void {
    const slot = this.#slotOf(call);
    const head = this.#headOf(call);
    call.onMessage = (message) => {
      this.#out.put(fromSockets.message, slot, 0, message);
      this.#core.press();
    };
    call.onEnd = () => this.#tell(fromSockets.endOfMessages, slot);
    this.#out.put(fromSockets.stream | (method << methodShift), slot, head, emptyBytes);
    this.#core.press();
  }

  #slotOf(call: ServerCall): number {
    const slot = this.#free.pop() ?? this.#calls.length;
    this.#calls[slot] = call;
    call.onCancel = () => this.#tell(fromSockets.cancel, slot);
    call.onDrain = () => this.#tell(fromSockets.drained, slot);
    return slot;
  }

  #forget(slot: number): void {
    const call = this.#calls[slot];
    if (call !== undefined) call.onCancel = undefined;
    this.#calls[slot] = undefined;
    this.#free.push(slot);
  }

  #tell(kind: number, slot: number): void {
    this.#out.put(kind, slot, 0, emptyBytes);
    this.#core.press();
  }

  /** The id of the head; the core is told of it when it is new. */
  #headOf(call: ServerCall): number {
    const { peer } = call;
    const known = this.#heads.get(peer);
    if (
      known !== undefined &&
      guardKeys.every((key, i) => call.metadata(key) === known.values[i])
    ) {
      return known.id;
    }
    const keys = [...guardKeys, userAgentKey];
    const head: CallHead = {
      address: peer.address,
      ...peer.identity,
      metadata: keys.flatMap((key) => {
        const value = call.metadata(key);
        return value === undefined ? [] : [[key, value] as const];
      }),
    };
    const id = this.#headsMade++;
    this.#heads.set(peer, { id, values: guardKeys.map((key) => call.metadata(key)) });
    this.#out.put(fromSockets.head, id, 0, Buffer.from(JSON.stringify(head)));
    return id;
  }
}

const order = workerData as SocketsOrder;
const calls = new Calls(order);
const server = createGrpcServer({
  clock: nodeClock,
  network: portSharingNetwork(),
  methods: calls.methods(order.methods),
  logger: silentLogger,
});
const listener = await server.listen({ host: '127.0.0.1', port: order.port }, order.tls);
const [thread = ''] = readlinkSync('/proc/thread-self').split('/').slice(-1);
parentPort?.postMessage({ address: listener.address, thread: Number(thread), moreFlag });
