/** What is counted of each call: messages of streams while they pass, those of others at the end. */

import { expect, test } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { openAccess } from '../../src/server/access/index.js';
import { Metrics } from '../../src/server/metrics/metrics.js';
import { defaultConfig } from '../../src/server/options/config.js';
import { callObserver, guarded } from '../../src/server/rpc/index.js';
import { SimClock } from '../../src/sim/index.js';
import { Bench, data, grpcMessage, requestHead } from '../transport/support/raw-peer.js';
import { echoMethods } from '../transport/support/servers.js';

function setup() {
  const metrics = new Metrics();
  const knows = { isLearner: () => false, access: openAccess, hasLeader: () => true };
  const methods = guarded([...echoMethods], { metrics, ...knows });
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

test('unary calls that take longer than --warning-unary-request-duration are logged', () => {
  const lines: Array<readonly [string, unknown]> = [];
  const clock = new SimClock();
  const observe = callObserver({
    metrics: new Metrics(),
    clock,
    logger: { ...silentLogger, warn: (text, fields) => void lines.push([text, fields]) },
    slowRequestMs: defaultConfig('--warning-unary-request-duration=20ms').slowRequestMs,
  });
  const call = {
    peer: { address: '10.0.0.1:5', identity: { commonName: '', certificateVerified: false } },
    metadata: () => undefined,
  };
  const put = '/etcdserverpb.KV/Put';
  observe(put, 'unary', 0, 20, call);
  observe('/etcdserverpb.Watch/Watch', 'bidi', 0, 1000, call);
  expect(lines).toEqual([]);
  observe(put, 'unary', 0, 20.5, call);
  expect(lines).toEqual([
    [
      'request stats',
      expect.objectContaining({
        'time spent': '20.500ms',
        remote: '10.0.0.1:5',
        'response type': put,
        'start time': expect.stringMatching(/^2029-12-31T23:59:59\.979Z$/),
      }),
    ],
  ]);
  for (let i = 0; i < 1000; i++) observe(put, 'unary', 0, 50, call);
  expect(lines.length).toBe(100);
});

test('etcd takes a --warning-unary-request-duration of 0 for its default', () => {
  expect(defaultConfig('--warning-unary-request-duration=0s').slowRequestMs).toBe(300);
  expect(defaultConfig('--warning-unary-request-duration=0s').warnings).toEqual([]);
});
