/**
 * The server for clients that have no .proto files: @grpc/grpc-js with the protocol of reflection
 * alone, and grpcurl.
 */

import * as grpc from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { exec } from '../helpers/exec.js';
import { bytes, failureOf, RawClient } from '../helpers/grpc.js';
import {
  type Asked,
  decodeReflected,
  encodeAsked,
  filesOf,
  type Reflected,
  reflectionMethod,
  reflectionServices,
  servicesOf,
} from '../helpers/reflection.js';
import { startKvorum, useServer } from '../helpers/server.js';
import { describeWith, toolPath } from '../helpers/tools.js';

const flag = '--enable-grpc-reflection';
const deadlineMs = 60_000;

const served = [
  ...['Auth', 'Cluster', 'KV', 'Lease', 'Maintenance', 'Watch'].map((it) => `etcdserverpb.${it}`),
  'grpc.health.v1.Health',
  ...reflectionServices,
  'v3electionpb.Election',
  'v3lockpb.Lock',
];

/** The answers to these requests, in one call. */
function reflect(client: grpc.Client, asked: readonly Asked[], version = 'v1') {
  return new Promise<Reflected[]>((resolve, reject) => {
    const call = client.makeBidiStreamRequest(
      reflectionMethod(version),
      encodeAsked,
      decodeReflected,
      { deadline: Date.now() + deadlineMs },
    );
    const answers: Reflected[] = [];
    call.on('data', (answer: Reflected) => answers.push(answer));
    call.on('error', reject);
    call.on('end', () => resolve(answers));
    for (const each of asked) call.write(each);
    call.end();
  });
}

/** A google.protobuf.FileDescriptorSet: its only field, once for each file. */
function descriptorSet(files: Iterable<Uint8Array>): Buffer {
  const parts = [...files].map((file) => {
    const length: number[] = [];
    let rest = file.length;
    for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128);
    return Buffer.concat([Buffer.from([0x0a, ...length, rest]), file]);
  });
  return Buffer.concat(parts);
}

type Service = grpc.ServiceClientConstructor['service'];
type Unary = (
  request: object,
  options: grpc.CallOptions,
  done: (error: grpc.ServiceError | null, answer: unknown) => void,
) => void;

describeWith(['kvorum'], '@grpc/grpc-js with reflection alone', () => {
  const server = useServer('kvorum', () => ({ args: [flag] }));
  let client: RawClient;
  beforeAll(() => {
    client = new RawClient(server());
  });
  afterAll(() => client.close());

  it.each(['v1', 'v1alpha'])('is told all services, %s', async (version) => {
    const [list = {}] = await reflect(client.channel, [{ list_services: '*' }], version);
    expect(servicesOf(list)).toEqual(served);
    // Who reads them one by one gets all of them, however many he asks for at once.
    const all = await reflect(
      client.channel,
      Array.from({ length: 50 }, () =>
        served.map((name) => ({ file_containing_symbol: name })),
      ).flat(),
      version,
    );
    expect(all).toHaveLength(50 * served.length);
    for (const answer of all) expect(filesOf(answer).length).toBeGreaterThan(0);
  });

  it('makes clients of what it is told, and calls with them', async () => {
    const asked = served.map((name) => ({ file_containing_symbol: name }));
    const answers = await reflect(client.channel, asked);
    const files = new Map<string, Uint8Array>();
    for (const file of answers.flatMap(filesOf)) {
      files.set(Buffer.from(file).toString('latin1'), file);
    }
    const options = { keepCase: true, longs: String, enums: String, defaults: true };
    const loaded = loadFileDescriptorSetFromBuffer(descriptorSet(files.values()), options);
    for (const name of served) expect(loaded[name], name).toBeDefined();
    const KV = grpc.makeClientConstructor(loaded['etcdserverpb.KV'] as Service, 'KV');
    const kv = new KV(server().endpoint, grpc.credentials.createInsecure());
    const call = (name: string, request: object): Promise<unknown> => {
      return new Promise((resolve, reject) => {
        const method = kv[name] as Unary;
        method.call(kv, request, { deadline: Date.now() + deadlineMs }, (error, answer) => {
          if (error === null) resolve(answer);
          else reject(error);
        });
      });
    };
    await call('Put', { key: bytes('reflected'), value: bytes('1') });
    expect(await call('Range', { key: bytes('reflected') })).toMatchObject({
      header: { revision: expect.stringMatching(/^\d+$/) },
      kvs: [{ key: bytes('reflected'), value: bytes('1'), version: '1' }],
      count: '1',
    });
    kv.close();
  });

  it('is told NOT_FOUND and goes on', async () => {
    const asked = [{ file_containing_symbol: 'no.such.Thing' }, { list_services: '' }];
    const [none, list = {}] = await reflect(client.channel, asked);
    expect(none?.error_response).toEqual({
      error_code: grpc.status.NOT_FOUND,
      error_message: 'symbol not found: no.such.Thing',
    });
    expect(servicesOf(list)).toEqual(served);
  });

  it('is told UNIMPLEMENTED by a server that was not started with the flag', async () => {
    const other = await startKvorum();
    const to = new RawClient(other);
    try {
      const { code } = await failureOf(reflect(to.channel, [{ list_services: '' }]));
      expect(code).toBe(grpc.status.UNIMPLEMENTED);
    } finally {
      to.close();
      await other.dispose();
    }
  });
});

describeWith(['kvorum', 'grpcurl'], 'grpcurl', () => {
  const server = useServer('kvorum', () => ({ args: [flag] }));
  const run = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await exec(toolPath('grpcurl'), ['-plaintext', ...args]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return stdout.toString();
  };
  const base64 = (text: string): string => bytes(text).toString('base64');

  it('lists services and methods', async () => {
    expect((await run(server().endpoint, 'list')).trim().split('\n')).toEqual(served);
    const methods = (await run(server().endpoint, 'list', 'etcdserverpb.KV')).trim().split('\n');
    const names = ['Compact', 'DeleteRange', 'Put', 'Range', 'RangeStream', 'Txn'];
    expect(methods).toEqual(names.map((name) => `etcdserverpb.KV.${name}`));
  });

  it('describes services, messages, enums and oneofs', async () => {
    const described = (name: string) => run(server().endpoint, 'describe', name);
    expect(await described('etcdserverpb.Watch')).toContain(
      'rpc Watch ( stream .etcdserverpb.WatchRequest ) returns ( stream .etcdserverpb.WatchResponse );',
    );
    const compare = await described('etcdserverpb.Compare');
    expect(compare).toContain('oneof target_union {');
    expect(compare).toMatch(/bytes range_end = 64;/);
    expect(compare).toMatch(/enum CompareResult \{[^}]*EQUAL = 0;[^}]*NOT_EQUAL = 3;/);
    expect(await described('etcdserverpb.ResponseHeader')).toMatch(/uint64 cluster_id = 1;/);
    expect(await described('grpc.health.v1.HealthListResponse')).toContain(
      'map<string, .grpc.health.v1.HealthCheckResponse> statuses = 1;',
    );
    // Of every service, so of every file.
    const everything = await run(server().endpoint, 'describe');
    for (const name of served) expect(everything).toContain(`${name} is a service:`);
  });

  it('puts and gets', async () => {
    const { endpoint } = server();
    const put = JSON.stringify({ key: base64('curl'), value: base64('1') });
    await run('-d', put, endpoint, 'etcdserverpb.KV/Put');
    const get = JSON.stringify({ key: base64('curl') });
    const answer = JSON.parse(await run('-d', get, endpoint, 'etcdserverpb.KV/Range')) as object;
    expect(answer).toMatchObject({
      kvs: [{ key: base64('curl'), value: base64('1'), version: '1' }],
      count: '1',
    });
  });

  it('logs in and calls with a token while auth is on', async () => {
    const { endpoint } = server();
    const call = async (method: string, request: object, ...args: string[]): Promise<unknown> => {
      const data = ['-d', JSON.stringify(request)];
      return JSON.parse(await run(...args, ...data, endpoint, `etcdserverpb.${method}`));
    };
    await call('Auth/UserAdd', { name: 'root', password: 'secret' });
    await call('Auth/RoleAdd', { name: 'root' });
    await call('Auth/UserGrantRole', { user: 'root', role: 'root' });
    await call('Auth/AuthEnable', {});
    const login = { name: 'root', password: 'secret' };
    const { token } = (await call('Auth/Authenticate', login)) as { readonly token: string };
    const status = await call('Auth/AuthStatus', {});
    expect(status).toMatchObject({ enabled: true });
    const header = `token: ${token}`;
    const got = await call('KV/Range', { key: base64('curl') }, '-H', header);
    expect(got).toMatchObject({ header: { clusterId: expect.any(String) } });
    const denied = await exec(toolPath('grpcurl'), [
      ...['-plaintext', '-d', JSON.stringify({ key: base64('curl') })],
      ...[endpoint, 'etcdserverpb.KV/Range'],
    ]);
    expect(denied.stderr).toContain('etcdserver: user name is empty');
  });
});
