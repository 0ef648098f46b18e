/** What is counted of each call: messages of streams while they pass, those of others at the end. */

import { expect, test } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { SimClock } from '../../src/common/sim/index.js';
import { Metrics } from '../../src/server/metrics.js';
import { callObserver, countedMethods } from '../../src/server/rpc-metering.js';
import { Bench, data, grpcMessage, requestHead } from '../transport/support/raw-peer.js';
import { echoMethods } from '../transport/support/servers.js';

function setup() {
  const metrics = new Metrics();
  const methods = countedMethods([...echoMethods], metrics);
  const observe = callObserver({
    metrics,
    clock: new SimClock(),
    logger: silentLogger,
    slowRequestMs: 1_000,
  });
  const bench = new Bench({ methods, observe });
  const countsOf = (method: string) => {
    const row = metrics.rpc.of(method);
    return [row?.started, row?.messagesReceived, row?.messagesSent];
  };
  return { bench, countsOf };
}

test('messages of a bidi stream are counted while it runs', async () => {
  const { bench, countsOf } = setup();
  const peer = await bench.peer();
  peer.send(peer.headers(1, requestHead('/test.Echo/Bidi')));
  for (const text of ['a', 'b', 'c']) peer.send(data(1, grpcMessage(Buffer.from(text))));
  await bench.settle();
  expect(countsOf('/test.Echo/Bidi')).toEqual([1, 3, 3]);
  peer.send(data(1, grpcMessage(Buffer.from('d')), true));
  await bench.settle();
  expect(peer.statusOf(1)[0]).toBe('0');
  expect(countsOf('/test.Echo/Bidi')).toEqual([1, 4, 4]);
});

test('a server stream gets one message and sends many, a unary call one and one', async () => {
  const { bench, countsOf } = setup();
  const peer = await bench.peer();
  peer.send(peer.call(1, '/test.Echo/Count', Buffer.alloc(5)));
  peer.send(peer.call(3, '/test.Echo/Unary', Buffer.alloc(5)));
  peer.send(peer.call(5, '/test.Echo/Fail', Buffer.alloc(5)));
  await bench.settle();
  expect(countsOf('/test.Echo/Count')).toEqual([1, 1, 5]);
  expect(countsOf('/test.Echo/Unary')).toEqual([1, 1, 1]);
  expect(countsOf('/test.Echo/Fail')).toEqual([1, 1, 0]);
});
