/** Loggers, meters and tracers see calls, watches and leases, and a logger's lines are JSON. */

import { expect, it } from 'vitest';
import {
  type LoggerLike,
  loggerHook,
  type MeterLike,
  metricsHook,
  type TracerLike,
  text,
  tracingHook,
} from '../../src/client/index.js';
import { eventually } from '../helpers/eventually.js';
import { startProxy } from './proxy.js';
import { describeTargets } from './target.js';

interface Line {
  readonly level: string;
  readonly event: string;
}

function fakeLogger(): LoggerLike & { readonly lines: Line[] } {
  const lines: Line[] = [];
  const at = (level: string) => (fields: object) => {
    const { event } = JSON.parse(JSON.stringify(fields)) as { readonly event: string };
    lines.push({ level, event });
  };
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn') };
}

function fakeMeter(): MeterLike & { readonly counted: Map<string, number> } {
  const counted = new Map<string, number>();
  const count =
    (name: string) =>
    (value: number, attributes: object = {}): void => {
      const key = `${name} ${Object.values(attributes).join(' ')}`;
      counted.set(key, (counted.get(key) ?? 0) + (name.endsWith('duration') ? 1 : value));
    };
  return {
    counted,
    createCounter: (name) => ({ add: count(name) }),
    createHistogram: (name) => ({ record: count(name) }),
  };
}

interface FakeSpan {
  readonly name: string;
  readonly attributes: Record<string, unknown>;
  failed: boolean;
  ended: boolean;
}

function fakeTracer(): TracerLike & { readonly spans: FakeSpan[] } {
  const spans: FakeSpan[] = [];
  return {
    spans,
    startSpan(name, options) {
      const span: FakeSpan = {
        name,
        attributes: { ...options?.attributes },
        failed: false,
        ended: false,
      };
      spans.push(span);
      return {
        setAttributes: (attributes) => Object.assign(span.attributes, attributes),
        setStatus: () => undefined,
        recordException: () => {
          span.failed = true;
        },
        end: () => {
          span.ended = true;
        },
      };
    },
  };
}

describeTargets('hooks', { targets: ['kvorum'], bothTransports: true }, (target) => {
  it('see calls, watches, leases, and reconnects', async () => {
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const logger = fakeLogger();
    const meter = fakeMeter();
    const tracer = fakeTracer();
    const injected: string[] = [];
    const inject = (_: unknown, carrier: Record<string, string>): void => {
      carrier.traceparent = '00-1-2-01';
      injected.push('traceparent');
    };
    const hooks = [loggerHook(logger), metricsHook(meter), tracingHook(tracer, { inject })];
    const client = target.client({ endpoints: proxy.endpoint, hooks });
    const kv = client.kv.namespace(target.prefix()).as(text);
    await using watcher = kv.watch({ all: true });
    await watcher.ready;
    const lease = await client.leases.create(60);
    await lease.renew();
    await kv.put('a', '1', { lease });
    await expect(kv.put('a', '1', { lease: 77n })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const { counted } = meter;
    proxy.cut();
    await eventually(() => counted.get('etcd.client.watches resumed'), 'the watch goes on');
    await lease.revoke();
    expect(counted.get('etcd.client.watches created')).toBe(1);
    expect(counted.get('etcd.client.leases renewed')).toBeGreaterThanOrEqual(1);
    expect(counted.get(`etcd.client.connects disconnected ${proxy.endpoint}`)).toBe(1);
    expect(counted.get('rpc.client.duration grpc etcdserverpb.KV Put OK')).toBe(1);
    expect(counted.get('rpc.client.duration grpc etcdserverpb.KV Put NOT_FOUND')).toBe(1);
    const watches = tracer.spans.filter(({ name }) => name === 'etcdserverpb.Watch/Watch');
    expect(watches.length).toBeGreaterThanOrEqual(2);
    expect(watches[0]).toMatchObject({
      ...{ failed: false, ended: true },
      attributes: { 'rpc.method': 'Watch', 'server.address': proxy.endpoint },
    });
    const puts = tracer.spans.filter(({ name }) => name === 'etcdserverpb.KV/Put');
    expect(puts.map(({ failed, ended }) => [failed, ended])).toEqual([
      [false, true],
      [true, true],
    ]);
    expect(injected.length).toBe(tracer.spans.length);
    const events = logger.lines.map(({ event }) => event);
    for (const event of ['connected', 'watchCreated', 'leaseRenewed', 'disconnected']) {
      expect(events).toContain(event);
    }
    expect(logger.lines).toContainEqual({ level: 'info', event: 'callEnded' });
    expect(logger.lines).toContainEqual({ level: 'debug', event: 'callEnded' });
    await proxy[Symbol.asyncDispose]();
  });
});
