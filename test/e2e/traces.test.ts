/** Traces of a server process, as a collector of OpenTelemetry receives them. */

import * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Etcd, type SpanLike, type TracerLike, tracingHook } from '../../src/client/index.js';
import { eventually } from '../helpers/eventually.js';
import { freePort, type ServerProcess, startKvorum } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';

/** The messages of OTLP 1, as far as we look at them. */
const { root } = protobuf.parse(`
syntax = "proto3";
message AnyValue { oneof value { string s = 1; bool b = 2; int64 i = 3; } }
message KeyValue { string key = 1; AnyValue value = 2; }
message Status { string message = 2; int32 code = 3; }
message Span {
  bytes trace_id = 1; bytes span_id = 2; string trace_state = 3; bytes parent_span_id = 4;
  string name = 5; int32 kind = 6; fixed64 start = 7; fixed64 end = 8;
  repeated KeyValue attributes = 9; Status status = 15;
}
message Scope { string name = 1; string version = 2; }
message ScopeSpans { Scope scope = 1; repeated Span spans = 2; }
message Resource { repeated KeyValue attributes = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Export { repeated ResourceSpans resource_spans = 1; }
`);

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parent: string;
  readonly name: string;
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly failed: boolean;
}

const valuesOf = (attributes: readonly Attribute[] = []): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

class Collector {
  readonly spans: ReceivedSpan[] = [];
  resource: Readonly<Record<string, unknown>> = {};
  readonly #server = new grpc.Server();

  async listen(port: number): Promise<void> {
    const bytes = (buffer: Buffer): Buffer => buffer;
    const codec = { requestSerialize: bytes, requestDeserialize: bytes };
    const service = {
      Export: {
        ...{ path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export', ...codec },
        ...{ requestStream: false, responseStream: false },
        ...{ responseSerialize: bytes, responseDeserialize: bytes },
      },
    };
    const handle: grpc.handleUnaryCall<Buffer, Buffer> = ({ request }, done) => {
      this.#receive(request);
      done(null, Buffer.alloc(0));
    };
    this.#server.addService(service, { Export: handle });
    await new Promise<void>((resolve, reject) => {
      const credentials = grpc.ServerCredentials.createInsecure();
      const told = (error: Error | null) => (error === null ? resolve() : reject(error));
      this.#server.bindAsync(`127.0.0.1:${port}`, credentials, told);
    });
  }

  close(): void {
    this.#server.forceShutdown();
  }

  #receive(bytes: Buffer): void {
    const type = root.lookupType('Export');
    const options = { longs: String, defaults: false } as const;
    const message = type.toObject(type.decode(bytes), options);
    for (const { resource, scopeSpans } of message.resourceSpans) {
      this.resource = valuesOf(resource.attributes);
      for (const { spans } of scopeSpans) {
        for (const span of spans) {
          this.spans.push({
            traceId: span.traceId.toString('hex'),
            spanId: span.spanId.toString('hex'),
            parent: span.parentSpanId?.toString('hex') ?? '',
            name: span.name,
            kind: span.kind,
            startNs: BigInt(span.start),
            endNs: BigInt(span.end),
            attributes: valuesOf(span.attributes),
            failed: span.status?.code === 2,
          });
        }
      }
    }
  }
}

/** A tracer as that of OpenTelemetry, whose spans are known beforehand. */
function tracerOf(traceId: string, spanId: string, traceFlags: number): TracerLike {
  const span: SpanLike = {
    spanContext: () => ({ traceId, spanId, traceFlags }),
    setAttributes: () => undefined,
    setStatus: () => undefined,
    recordException: () => undefined,
    end: () => undefined,
  };
  return { startSpan: () => span };
}

describeWith(['kvorum'], 'traces', () => {
  const collector = new Collector();
  let port: number;
  let server: ServerProcess;
  const flags = (at: number, ...more: readonly string[]) => [
    '--enable-distributed-tracing',
    ...['--distributed-tracing-address', `127.0.0.1:${at}`],
    ...['--distributed-tracing-service-name', 'store', '--distributed-tracing-instance-id', 'one'],
    ...more,
  ];
  beforeAll(async () => {
    port = await freePort();
    await collector.listen(port);
    server = await startKvorum({ args: flags(port) });
  });
  afterAll(async () => {
    await server?.dispose();
    collector.close();
  });

  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const client = (spanId: string, traceFlags = 1) =>
    new Etcd({
      endpoints: server.endpoint,
      hooks: [tracingHook(tracerOf(traceId, spanId, traceFlags))],
    });
  const childrenOf = (parent: string) => collector.spans.filter((span) => span.parent === parent);

  it('have a put as child of its client, and below it all of its steps', async () => {
    const spanId = 'b7ad6b7169203331';
    await using etcd = client(spanId);
    const before = BigInt(Date.now()) * 1_000_000n;
    await etcd.kv.put('a', 'TheValue');
    const put = await eventually(() => childrenOf(spanId)[0], 'the collector has the put');
    expect(put).toMatchObject({ traceId, name: 'etcdserverpb.KV/Put', kind: 2, failed: false });
    expect(put.attributes).toMatchObject({ 'rpc.service': 'etcdserverpb.KV', 'rpc.method': 'Put' });
    expect(collector.resource).toMatchObject({
      ...{ 'service.name': 'store', 'service.instance.id': 'one', 'kvorum.member.name': 'default' },
    });
    const steps = await eventually(() => {
      const found = childrenOf(put.spanId);
      return found.length >= 5 ? found : undefined;
    }, 'and its steps');
    expect(steps.map(({ attributes }) => attributes['kvorum.step']).sort()).toEqual(
      ['applied', 'committed', 'durable', 'proposed', 'sent'].sort(),
    );
    const secondNs = 1_000_000_000n;
    for (const { attributes, endNs, startNs, traceId: own } of [put, ...steps]) {
      const step = String(attributes['kvorum.step'] ?? 'put');
      expect(own).toBe(traceId);
      expect(startNs <= endNs, step).toBe(true);
      expect(startNs >= put.startNs && endNs <= put.endNs, step).toBe(true);
      expect(startNs > before - secondNs, 'on the clock of the world').toBe(true);
    }
    expect(JSON.stringify(steps.concat(put), (_, v) => String(v))).not.toContain('TheValue');
  });

  it('have reads, and calls that fail', async () => {
    const spanId = '00f067aa0ba902b7';
    await using etcd = client(spanId);
    await etcd.kv.get('a');
    await expect(etcd.kv.put('a', '1', { lease: 77n })).rejects.toMatchObject({});
    const [put, range] = await eventually(() => {
      const found = childrenOf(spanId).sort((a, b) => (a.name < b.name ? -1 : 1));
      return found.length === 2 ? found : undefined;
    }, 'both are there');
    expect([put?.name, put?.failed]).toEqual(['etcdserverpb.KV/Put', true]);
    expect([range?.name, range?.failed]).toEqual(['etcdserverpb.KV/Range', false]);
    const steps = await eventually(() => {
      const found = childrenOf(range?.spanId ?? '');
      return found.length === 2 ? found : undefined;
    }, 'the read has its steps');
    expect(steps.map(({ name }) => name)).toEqual(['confirm the read', 'answer']);
  });

  it('leave out what its client does not trace, and, by default, who says nothing', async () => {
    const unsampled = 'aaaaaaaaaaaaaaaa';
    const last = 'bbbbbbbbbbbbbbbb';
    await using untraced = client(unsampled, 0);
    await untraced.kv.put('a', '1');
    await using silent = new Etcd({ endpoints: server.endpoint });
    await silent.kv.put('a', '1');
    const known = new Set(collector.spans.map(({ spanId }) => spanId));
    await using traced = client(last);
    await traced.kv.put('a', '1');
    await eventually(() => childrenOf(last)[0], 'what was traced later is there');
    const news = collector.spans.filter(({ spanId }) => !known.has(spanId));
    expect(news.filter(({ kind }) => kind === 2).map(({ parent }) => parent)).toEqual([last]);
  });

  it('cost nobody anything while the collector is away, and go on when it is back', async () => {
    const elsewhere = await freePort();
    const args = flags(elsewhere, '--distributed-tracing-sampling-rate', '1000000');
    const other = await startKvorum({ args });
    const late = new Collector();
    try {
      await using etcd = new Etcd({ endpoints: other.endpoint });
      for (let i = 0; i < 20; i++) {
        await Promise.all(Array.from({ length: 100 }, () => etcd.kv.put('a', '1')));
      }
      const metric = async (name: string) => {
        const text = await (await fetch(`${other.clientUrl}/metrics`)).text();
        return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
      };
      // Six spans a put: not all of them fit.
      expect(await metric('kvorum_trace_spans_dropped_total')).toBeGreaterThan(1000);
      await eventually(
        async () => (await metric('kvorum_trace_export_failures_total')) > 0 || undefined,
        'the collector is looked for',
      );
      expect(other.log).toContain('the collector of traces does not take spans');
      await late.listen(elsewhere);
      await eventually(() => late.spans.length >= 8000 || undefined, 'what waited arrives');
      const sent = async () => (await metric('kvorum_trace_spans_sent_total')) >= 8000 || undefined;
      await eventually(sent, 'and is counted');
      const roots = late.spans.filter(({ kind }) => kind === 2);
      expect(roots.every(({ parent, traceId: id }) => parent === '' && id.length === 32)).toBe(
        true,
      );
    } finally {
      await other.dispose();
      late.close();
    }
  });
});
