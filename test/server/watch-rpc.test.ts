import { describe, expect, it } from 'vitest';
import { GrpcCode } from '../../src/common/index.js';
import {
  decodeWatchResponse,
  encodeWatchCancelRequest,
  encodeWatchCreateRequest,
  encodeWatchProgressRequest,
} from '../../src/proto/index.js';
import { watchHandler } from '../../src/server/watch/rpc.js';
import { FakeCall, FakeGate } from './watch-call.js';
import { line, WatchBench } from './watch-helpers.js';

function setup(limits: ConstructorParameters<typeof WatchBench>[0] = {}) {
  const bench = new WatchBench(limits);
  const leader = new FakeGate();
  const handler = watchHandler({
    hub: bench.hub,
    leader,
    refusal: (request) => (request.key === 'secret' ? 'denied' : undefined),
  });
  const open = (metadata: Readonly<Record<string, string>> = {}): FakeCall => {
    const call = new FakeCall(metadata);
    handler(call);
    return call;
  };
  return { bench, leader, open };
}

const lines = (call: FakeCall): string[] => call.sent.map((b) => line(decodeWatchResponse(b)));

describe('the Watch rpc', () => {
  it('creates, refuses, delivers, reports progress and cancels on one stream', () => {
    const { bench, open } = setup();
    const call = open();
    call.onMessage?.(encodeWatchCreateRequest({ key: 'a' }));
    call.onMessage?.(encodeWatchCreateRequest({ key: 'secret' }));
    // A member of the union that this version does not know.
    call.onMessage?.(Buffer.from([0x2a, 0x00]));
    bench.put('a');
    call.onMessage?.(encodeWatchProgressRequest());
    call.onMessage?.(encodeWatchCancelRequest(0));
    call.onMessage?.(encodeWatchCancelRequest(17));
    expect(lines(call)).toEqual([
      'id=0 rev=1 created',
      'id=-1 rev=1 created canceled reason=denied',
      'id=0 rev=2 [put a=v @2]',
      'id=-1 rev=2',
      'id=0 rev=2 canceled',
    ]);
    expect(call.ended).toBe('open');
    // A half-closed stream goes on listening, as in etcd.
    call.onEnd?.();
    expect(call.ended).toBe('open');
    call.cancel();
    expect(bench.hub.counters).toMatchObject({ watchers: 0, streams: 0 });
  });

  it('keeps what is asked for in its order while it finds out who may', async () => {
    const bench = new WatchBench({});
    let tell: (refusal: string | undefined) => void = () => {};
    const handler = watchHandler({
      hub: bench.hub,
      leader: new FakeGate(),
      refusal: ({ key }) => (key === 'b' ? new Promise((resolve) => (tell = resolve)) : undefined),
    });
    const call = new FakeCall();
    handler(call);
    call.onMessage?.(encodeWatchCreateRequest({ key: 'a' }));
    expect(call.paused).toBe(false);
    for (const refusal of [undefined, 'denied']) {
      call.onMessage?.(encodeWatchCreateRequest({ key: 'b' }));
      expect(call.paused).toBe(true);
      // The client reads again: that is not what is waited for.
      call.drain();
      expect(call.paused).toBe(true);
      tell(refusal);
      await Promise.resolve();
      expect(call.paused).toBe(false);
    }
    call.onMessage?.(encodeWatchCreateRequest({ key: 'b' }));
    call.cancel();
    tell(undefined);
    await Promise.resolve();
    expect(lines(call)).toEqual([
      'id=0 rev=1 created',
      'id=1 rev=1 created',
      'id=-1 rev=1 created canceled reason=denied',
    ]);
    expect(bench.hub.counters).toMatchObject({ watchers: 0, streams: 0 });
  });

  it('removes everything when the client is gone', () => {
    const { bench, leader, open } = setup();
    const call = open({ hasleader: 'true' });
    call.onMessage?.(encodeWatchCreateRequest({ key: 'a' }));
    expect(leader.listeners.size).toBe(1);
    call.cancel();
    expect(leader.listeners.size).toBe(0);
    expect(bench.hub.counters).toMatchObject({ watchers: 0, streams: 0 });
    bench.put('a');
    expect(call.sent.length).toBe(1);
  });

  it('ends the stream at a message that can not be decoded', () => {
    const { bench, open } = setup();
    const call = open();
    call.onMessage?.(Buffer.from([0x0a, 0x50, 0x01]));
    expect(call.ended).toMatchObject({ code: GrpcCode.INTERNAL });
    expect(bench.hub.counters.streams).toBe(0);
  });

  it('ends streams that require a leader when it is lost, and refuses new ones', () => {
    const { bench, leader, open } = setup();
    const careless = open();
    const strict = open({ hasleader: 'true' });
    strict.onMessage?.(encodeWatchCreateRequest({ key: 'a' }));
    leader.lose();
    const noLeader = { code: GrpcCode.UNAVAILABLE, text: 'etcdserver: no leader' };
    expect(strict.ended).toEqual(noLeader);
    expect(careless.ended).toBe('open');
    expect(open({ hasleader: 'true' }).ended).toEqual(noLeader);
    expect(open().ended).toBe('open');
    expect(bench.hub.counters).toMatchObject({ watchers: 0, streams: 2 });
  });

  it('reads no more requests from a client that does not read the replies', async () => {
    const { bench, open } = setup({ backlogBytesMax: 100 });
    const call = open();
    call.stuck = true;
    let requests = 0;
    while (!call.paused && requests < 1000) {
      call.onMessage?.(encodeWatchCreateRequest({ key: 'a' }));
      requests += 1;
    }
    expect(requests).toBeLessThan(20);
    bench.put('a');
    bench.put('a');
    const sent = call.sent.length;
    call.drain();
    expect(call.paused).toBe(false);
    await bench.run();
    expect(call.sent.length).toBe(sent + requests);
  });
});
