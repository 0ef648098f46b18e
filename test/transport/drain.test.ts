/** Ending connections: graceful drain at both ends, GOAWAY, and what a call is told. */

import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryNetwork, SimClock, SimRandom } from '../../src/sim/index.js';
import { connectGrpc, type GrpcClient, type RpcStatus } from '../../src/transport/index.js';
import {
  Bench,
  data,
  frame,
  grpcMessage,
  preface,
  RawPeer,
  reset,
  settings,
  u32,
} from './support/raw-peer.js';
import { hanging } from './support/servers.js';

const unary = '/test.Echo/Unary';
const hello = Buffer.from('hello');

beforeEach(() => {
  hanging.length = 0;
});

describe('the server drains', () => {
  test('running calls end, calls already under way are answered, then all is closed', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.call(1, '/test.Echo/Hang', hello));
    await bench.settle();
    let drained = false;
    const done = bench.server.drain().then(() => {
      drained = true;
    });
    peer.send(peer.call(3, unary, hello)); // sent before the GOAWAY could be seen
    await bench.settle(10);
    const goaways = (): number[] =>
      peer.frames.filter((f) => f.type === 7).map((f) => f.payload.readUInt32BE(0));
    expect(goaways()).toEqual([0x7fff_ffff]);
    expect(peer.statusOf(3)[0]).toBe('0');
    const ping = peer.frames.find((f) => f.type === 6);
    peer.send(frame(6, 1, 0, ping?.payload ?? Buffer.alloc(8)));
    await bench.settle(10);
    expect(goaways()).toEqual([0x7fff_ffff, 3]);
    peer.send(peer.call(5, unary, hello)); // after it: not looked at
    await bench.settle(10);
    expect([peer.statusOf(5)[0], peer.resetOf(5)]).toEqual([undefined, 'REFUSED_STREAM']);
    expect([drained, peer.over]).toEqual([false, false]);
    hanging[0]?.reply(hello);
    await bench.settle(10);
    expect(peer.statusOf(1)[0]).toBe('0');
    expect(peer.over).toBe(true);
    await bench.clock.runUntil(done);
    expect([bench.server.connectionCount, bench.server.streamCount]).toEqual([0, 0]);
  });

  test('a peer that does not answer the ping is drained after a second', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    const done = bench.server.drain();
    await bench.settle(900);
    expect(peer.over).toBe(false);
    await bench.settle(200);
    expect(peer.over).toBe(true);
    await bench.clock.runUntil(done);
  });

  test('close cancels what runs', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.call(1, '/test.Echo/Hang', hello));
    await bench.settle();
    await bench.clock.runUntil(bench.server.close());
    await bench.settle();
    expect(hanging[0]?.cancelled).toBe(true);
    expect(peer.over).toBe(true);
    expect(bench.server.connectionCount).toBe(0);
  });

  test('a client that says GOAWAY has its calls answered, then the connection ends', async () => {
    const bench = new Bench();
    const peer = await bench.peer();
    peer.send(peer.call(1, '/test.Echo/Hang', hello), frame(7, 0, 0, u32(0, 0)));
    await bench.settle();
    expect(peer.over).toBe(false);
    hanging[0]?.reply(hello);
    await bench.settle();
    expect(peer.statusOf(1)[0]).toBe('0');
    expect(peer.over).toBe(true);
  });
});

/** Our client against a server that is played by hand. */
async function rawServer(...pairs: ReadonlyArray<readonly [number, number]>): Promise<{
  clock: SimClock;
  client: GrpcClient;
  server: RawPeer;
  settle(ms?: number): Promise<void>;
  call(method?: string, timeoutMs?: number): { status?: RpcStatus; message?: Buffer };
}> {
  const clock = new SimClock();
  const network = new MemoryNetwork(clock, new SimRandom(3));
  const accepted: RawPeer[] = [];
  const listener = await network.listen({ host: 's', port: 1 }, undefined, (stream) => {
    const peer = new RawPeer(stream, preface.length);
    accepted.push(peer);
    peer.send(settings(...pairs));
  });
  const client = await clock.runUntil(
    connectGrpc({ clock, network, address: listener.address, connectTimeoutMs: 1_000 }),
  );
  const [server] = accepted;
  if (server === undefined) throw new Error('nothing was accepted');
  const settle = (ms = 20): Promise<void> => clock.run(clock.nowMs() + ms);
  await settle();
  return {
    clock,
    client,
    server,
    settle,
    call(method = unary, timeoutMs) {
      const result: { status?: RpcStatus; message?: Buffer } = {};
      const options = timeoutMs === undefined ? {} : { timeoutMs };
      client.unary(method, hello, options, (status, message) => {
        if (result.status !== undefined) throw new Error('done was called twice');
        result.status = status;
        if (message !== undefined) result.message = Buffer.from(message);
      });
      return result;
    },
  };
}

describe('the client', () => {
  test('GOAWAY: later calls were not sent, earlier ones may be answered', async () => {
    const { client, server, settle, call } = await rawServer();
    const one = call();
    const two = call();
    await settle();
    server.send(frame(7, 0, 0, u32(1, 0)));
    await settle();
    expect(two.status).toMatchObject({ code: 14, maySent: false });
    expect(client.usable).toBe(false);
    const three = call();
    await settle();
    expect(three.status).toMatchObject({ code: 14, maySent: false });
    server.send(server.headers(1, head), data(1, grpcMessage(hello)), server.headers(1, ok, true));
    await settle();
    expect([one.status?.code, one.message?.toString()]).toEqual([0, 'hello']);
    expect(server.over).toBe(true);
  });

  test('RST_STREAM becomes a status', async () => {
    const { server, settle, call } = await rawServer();
    const calls = [7, 8, 11, 2].map((code, i) => {
      const result = call();
      server.send(reset(2 * i + 1, code));
      return result;
    });
    await settle();
    expect(calls.map(({ status }) => [status?.code, status?.maySent])).toEqual([
      [14, false],
      [1, true],
      [8, true],
      [13, true],
    ]);
  });

  test('a lost connection: UNAVAILABLE, the request may have been seen', async () => {
    const { client, server, settle, call } = await rawServer();
    let closed = 0;
    client.onClose = () => void closed++;
    const one = call();
    await settle();
    server.stream.destroy();
    await settle();
    expect(one.status).toMatchObject({ code: 14, maySent: true });
    expect([closed, client.usable]).toEqual([1, false]);
  });

  test('a ping for each call, as from a bandwidth estimator, is no flood', async () => {
    const { server, settle, call } = await rawServer();
    const calls = Array.from({ length: 2_500 }, () => ({ code: -1 }));
    for (const [i, each] of calls.entries()) {
      const id = 2 * i + 1;
      const result = call();
      server.send(frame(6, 0, 0, Buffer.alloc(8)), server.headers(id, head));
      server.send(data(id, grpcMessage(hello)), server.headers(id, ok, true));
      await settle(0.3);
      each.code = result.status?.code ?? -1;
    }
    await settle();
    expect(server.goaway).toBeUndefined();
    expect(calls.filter(({ code }) => code > 0)).toEqual([]);
    expect(server.frames.filter(({ type, flags }) => type === 6 && flags === 1)).toHaveLength(
      2_500,
    );
  });

  test('a server that pings without end is left, and the calls are told why', async () => {
    const { server, settle, call } = await rawServer();
    const one = call();
    await settle();
    for (let i = 0; i < 2_100; i++) server.send(frame(6, 0, 0, Buffer.alloc(8)));
    await settle();
    expect([server.goaway, server.goawayText]).toEqual([
      'ENHANCE_YOUR_CALM',
      'too many control frames',
    ]);
    expect(one.status?.message).toBe('the connection was lost: too many control frames');
  });

  test('what a server says when it ends a connection is told to the calls', async () => {
    const { server, settle, call } = await rawServer();
    const one = call();
    await settle();
    server.send(frame(7, 0, 0, Buffer.concat([u32(1, 11), Buffer.from('too_many_pings')])));
    server.stream.end();
    await settle();
    expect(one.status?.message).toBe('the connection was lost: the peer says too_many_pings');
  });

  test('a deadline resets the stream; what comes for it later is ignored', async () => {
    const { client, server, settle, call } = await rawServer();
    const one = call(unary, 100);
    await settle(150);
    expect(one.status).toMatchObject({ code: 4, message: 'context deadline exceeded' });
    expect(server.resetOf(1)).toBe('CANCEL');
    server.send(server.headers(1, head), data(1, grpcMessage(hello)), server.headers(1, ok, true));
    await settle();
    expect([client.usable, server.goaway]).toEqual([true, undefined]);
  });

  test('waits for the server to permit one more stream', async () => {
    const { server, settle, call } = await rawServer([3, 1]);
    const one = call();
    const two = call();
    const three = call(unary, 50);
    await settle();
    expect(server.blocks.map(({ id }) => id)).toEqual([1]);
    server.send(server.headers(1, [...head, ...ok], true));
    await settle(60);
    expect(one.status?.code).toBe(13); // status OK, but no message
    expect(server.blocks.map(({ id }) => id)).toEqual([1, 3]);
    expect(two.status).toBeUndefined();
    expect(three.status).toMatchObject({ code: 4, maySent: false });
  });

  test.each([
    ['HTTP 404', [[':status', '404']], 12],
    ['HTTP 503', [[':status', '503']], 14],
    [
      'a page of HTML',
      [
        [':status', '200'],
        ['content-type', 'text/html'],
      ],
      2,
    ],
    ['no status at all', [['content-type', 'application/grpc']], 13],
    [
      'trailers only',
      [
        [':status', '200'],
        ['content-type', 'application/grpc'],
        ['grpc-status', '5'],
        ['grpc-message', 'a%20b'],
      ],
      5,
    ],
    [
      'a status nobody knows',
      [
        [':status', '200'],
        ['content-type', 'application/grpc'],
        ['grpc-status', '99'],
      ],
      2,
    ],
  ] as ReadonlyArray<readonly [string, ReadonlyArray<readonly [string, string]>, number]>)(
    'a reply that is %s',
    async (_name, pairs, code) => {
      const { server, settle, call } = await rawServer();
      const one = call();
      await settle();
      server.send(server.headers(1, pairs, true));
      await settle();
      expect(one.status?.code).toBe(code);
      expect(one.message).toBeUndefined();
    },
  );

  test('a server that opens streams breaks the protocol', async () => {
    const { client, server, settle } = await rawServer();
    server.send(server.headers(2, head));
    await settle(2_000);
    expect(server.goaway).toBe('PROTOCOL_ERROR');
    expect(client.usable).toBe(false);
  });

  test('connecting to something that never speaks is given up', async () => {
    const clock = new SimClock();
    const network = new MemoryNetwork(clock, new SimRandom(3));
    const listener = await network.listen({ host: 's', port: 1 }, undefined, (stream) => {
      stream.setHandler({ onData() {}, onEnd() {}, onDrain() {}, onClose() {} });
    });
    const connecting = connectGrpc({
      clock,
      network,
      address: listener.address,
      connectTimeoutMs: 500,
    });
    await expect(clock.runUntil(connecting)).rejects.toThrow('no SETTINGS');
  });
});

const head = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
] as const;
const ok = [['grpc-status', '0']] as const;
