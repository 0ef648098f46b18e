/** Answers of any size, and what bounds the memory that unsent ones take. */

import { afterEach, describe, expect, test } from 'vitest';
import type { MethodHandler, ServerCall } from '../../src/transport/index.js';
import {
  Bench,
  data,
  frame,
  grpcMessage,
  preface,
  type RawPeer,
  requestHead,
  reset,
  settings,
  u32,
  windowUpdate,
} from './support/raw-peer.js';
import { echoMethods, hanging } from './support/servers.js';

afterEach(() => {
  hanging.length = 0;
});

const initialWindowSize = 4;
const noWindow = [initialWindowSize, 0] as const;

/** Methods that answer with as many bytes as they are asked for; which ran is in `made`. */
function sized(): { readonly made: number[]; readonly methods: Map<string, MethodHandler> } {
  const made: number[] = [];
  const answer = (request: Buffer, call: ServerCall): void => {
    const bytes = request.readUInt32BE(0);
    made.push(bytes);
    call.replyParts([Buffer.alloc(bytes >>> 1, 1), Buffer.alloc(bytes - (bytes >>> 1), 2)]);
  };
  const methods = new Map<string, MethodHandler>([
    ...echoMethods,
    ['/test.Sized/Get', { kind: 'unary', handle: answer }],
    [
      '/test.Sized/GetInRoom',
      {
        kind: 'unary',
        handle: (borrowed, call) => {
          const request = Buffer.from(borrowed);
          const run = (): void => answer(request, call);
          if (call.hasRoom) run();
          else call.whenRoom(run);
        },
      },
    ],
  ]);
  return { made, methods };
}

const get = (peer: RawPeer, id: number, bytes: number, method = 'Get'): Buffer =>
  peer.call(id, `/test.Sized/${method}`, u32(bytes));

describe('an answer above the bound of a connection', () => {
  test('arrives whole, with the other streams of the connection, and so does what follows', async () => {
    const { methods } = sized();
    const limits = { connectionBacklogBytesMax: 100_000, serverBacklogBytesMax: 200_000 };
    const closed: string[] = [];
    const bench = new Bench({ methods, limits, onClosed: (_address, why) => closed.push(why) });
    const peer = await bench.peer([initialWindowSize, 0x7fff_ffff]);
    peer.send(peer.headers(1, requestHead('/test.Echo/HangStream')));
    peer.send(get(peer, 3, 1_000_000), windowUpdate(0, 0x7000_0000));
    await bench.settle(1_000);
    expect(peer.dataOf(3)).toHaveLength(1_000_005);
    expect(peer.statusOf(3)[0]).toBe('0');
    // A stream, too, may say something that large, and goes on.
    hanging[0]?.send(Buffer.alloc(700_000));
    hanging[0]?.send(Buffer.from('next'));
    await bench.settle(1_000);
    expect(peer.dataOf(1)).toHaveLength(700_005 + 9);
    expect([peer.goaway, peer.over, closed]).toEqual([undefined, false, []]);
  });

  test('keeps the next calls of the connection waiting, in order, and no one is lost', async () => {
    const { made, methods } = sized();
    const bench = new Bench({ methods, limits: { connectionBacklogBytesMax: 100_000 } });
    const peer = await bench.peer(noWindow);
    for (let i = 0; i < 40; i++) peer.send(get(peer, 2 * i + 1, 60_000 + i));
    await bench.settle();
    expect(made).toEqual([60_000, 60_001]);
    // Another connection is not concerned.
    const other = await bench.peer();
    other.send(get(other, 1, 500));
    await bench.settle();
    expect(other.dataOf(1)).toHaveLength(505);
    peer.send(windowUpdate(0, 0x7000_0000), settings([initialWindowSize, 0x7fff_ffff]));
    await bench.settle(3_000);
    expect(made.filter((bytes) => bytes >= 60_000)).toEqual(
      Array.from({ length: 40 }, (_, i) => 60_000 + i),
    );
    for (let i = 0; i < 40; i++) expect(peer.dataOf(2 * i + 1)).toHaveLength(60_005 + i);
    expect(peer.over).toBe(false);
  });

  test('a call that is cancelled while it waits is never begun', async () => {
    const { made, methods } = sized();
    const bench = new Bench({ methods, limits: { connectionBacklogBytesMax: 100_000 } });
    const peer = await bench.peer(noWindow);
    peer.send(get(peer, 1, 200_000), get(peer, 3, 7), get(peer, 5, 8));
    await bench.settle();
    peer.send(reset(3), windowUpdate(1, 300_000), windowUpdate(0, 300_000), windowUpdate(5, 100));
    await bench.settle(1_000);
    expect(made).toEqual([200_000, 8]);
    expect(peer.dataOf(5)).toHaveLength(13);
    expect(bench.server.streamCount).toBe(0);
  });

  test('requests that wait are bounded by the window of the connection', async () => {
    const { methods } = sized();
    const limits = { connectionBacklogBytesMax: 50_000, connectionWindowBytes: 100_000 };
    const bench = new Bench({ methods, limits });
    const peer = await bench.peer(noWindow);
    peer.send(get(peer, 1, 60_000));
    const request = Buffer.alloc(15_000);
    for (let id = 3; id < 60; id += 2) {
      peer.send(peer.call(id, '/test.Echo/Unary', request));
      await bench.settle();
    }
    // It went on although the window was not given back any more.
    expect(peer.goaway).toBe('FLOW_CONTROL_ERROR');
  });
});

describe('answers of all connections together', () => {
  const limits = { serverBacklogBytesMax: 150_000, stalledReaderMs: 2_000 };

  test('large ones wait while too much is unsent; who reads on is served', async () => {
    const { made, methods } = sized();
    const bench = new Bench({ methods, limits });
    const first = await bench.peer(noWindow);
    const second = await bench.peer();
    first.send(get(first, 1, 200_000, 'GetInRoom'));
    await bench.settle();
    second.send(get(second, 1, 10_000, 'GetInRoom'), get(second, 3, 11, 'Get'));
    await bench.settle();
    // What is known to be small does not ask for room.
    expect(made).toEqual([200_000, 11]);
    first.send(windowUpdate(0, 300_000));
    for (let sent = 0; sent < 200_005; sent += 5_000) {
      first.send(windowUpdate(1, 5_000));
      await bench.settle(500); // never nothing for long
    }
    expect(first.statusOf(1)[0]).toBe('0');
    expect(second.dataOf(1)).toHaveLength(10_005);
    expect([first.over, second.over]).toEqual([false, false]);
  });

  test('a reader that takes nothing while others wait is closed, with a reason', async () => {
    const { methods } = sized();
    const closed: string[] = [];
    const onClosed = (_address: string, why: string): void => void closed.push(why);
    const bench = new Bench({ methods, limits, onClosed });
    const stuck = await bench.peer(noWindow);
    const small = await bench.peer(noWindow);
    const waiting = await bench.peer();
    stuck.send(get(stuck, 1, 200_000, 'GetInRoom'));
    small.send(get(small, 1, 1_000, 'Get'));
    await bench.settle(60_000);
    expect(closed).toEqual([]); // nobody minds
    waiting.send(get(waiting, 1, 10_000, 'GetInRoom'));
    await bench.settle(1_500);
    expect(waiting.dataOf(1)).toHaveLength(0);
    await bench.settle(5_000);
    expect(waiting.dataOf(1)).toHaveLength(10_005);
    expect([stuck.over, small.over]).toEqual([true, false]);
    expect(closed).toEqual([
      'it reads none of its answers, and others wait for the room they take',
    ]);
  });
});

describe('a message that is too long to be sent', () => {
  const limits = { sendMessageBytesMax: 1_000 };
  const text = 'grpc: trying to send message larger than max (3000 vs. 1000)';

  test('ends its call with RESOURCE_EXHAUSTED, and no other', async () => {
    const { methods } = sized();
    const bench = new Bench({ methods, limits });
    const peer = await bench.peer();
    peer.send(get(peer, 1, 3_000), get(peer, 3, 1_000));
    await bench.settle();
    expect(peer.statusOf(1)).toEqual(['8', text]);
    expect(peer.dataOf(3)).toHaveLength(1_005);
    expect(peer.statusOf(3)[0]).toBe('0');
  });

  test('ends a stream likewise, and its handler learns of it', async () => {
    const bench = new Bench({ limits });
    const peer = await bench.peer();
    peer.send(peer.headers(1, requestHead('/test.Echo/HangStream')));
    await bench.settle();
    const [call] = hanging;
    let told = 0;
    if (call !== undefined) call.onCancel = () => told++;
    call?.send(Buffer.from('hello'));
    call?.send(Buffer.alloc(3_000));
    await bench.settle();
    expect(peer.dataOf(1)).toEqual(grpcMessage(Buffer.from('hello')));
    expect(peer.statusOf(1)).toEqual(['8', text]);
    expect([call?.cancelled, told]).toEqual([true, 1]);
  });
});

describe('a connection that the server closes for what its client did', () => {
  const cases: ReadonlyArray<readonly [string, string, (peer: RawPeer) => void]> = [
    ['breaks the protocol', 'DATA on an idle stream', (peer) => peer.send(data(5, u32(1)))],
    [
      'floods it',
      'too many control frames',
      (peer) => {
        for (let i = 0; i < 3_000; i++) peer.send(settings());
      },
    ],
    ['is silent', 'keepalive ping was not answered', () => {}],
  ];
  test.each(cases)('is told of: it %s', async (_name, reason, act) => {
    const closed: string[] = [];
    const onClosed = (address: string, why: string): void => {
      expect(address).not.toBe('');
      closed.push(why);
    };
    const bench = new Bench({ onClosed, limits: { keepaliveIntervalMs: 1_000 } });
    const peer = await bench.peer();
    act(peer);
    await bench.settle(30_000);
    expect(peer.over).toBe(true);
    expect(closed).toEqual([reason]);
  });

  test('is told of: it does not finish the handshake', async () => {
    const closed: string[] = [];
    const bench = new Bench({ onClosed: (_address, why) => closed.push(why) });
    const mute = await bench.connect();
    const slow = await bench.connect();
    slow.send(preface);
    await bench.settle(30_000);
    expect([mute.over, slow.over]).toEqual([true, true]);
    expect(closed).toEqual(['handshake timeout', 'handshake timeout']);
  });

  test('is no news if the client closes it, or says goodbye', async () => {
    const closed: string[] = [];
    const bench = new Bench({ onClosed: (_address, why) => closed.push(why) });
    const gone = await bench.peer();
    gone.stream.destroy();
    const polite = await bench.peer();
    polite.send(frame(7, 0, 0, u32(0, 0)));
    polite.stream.end();
    await bench.settle(30_000);
    expect(bench.server.connectionCount).toBe(0);
    expect(closed).toEqual([]);
  });
});
