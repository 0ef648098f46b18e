/** gRPC reflection: what a member answers, to whom, and how much of it. */

import { existsSync, readdirSync } from 'node:fs';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { GrpcCode, reflectionRequestBytesMax } from '../../src/common/index.js';
import { requirementOf } from '../../src/server/access/index.js';
import { allMethods } from '../../src/server/member.js';
import { guarded } from '../../src/server/rpc/index.js';
import type { MethodHandler, StreamHandler } from '../../src/transport/index.js';
import { SimMachine } from '../crash/sim-node.js';
import { SimClient } from '../faults/sim.js';
import { FakeAccess } from '../helpers/permissions.js';
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
import { repoRoot } from '../helpers/tools.js';
import { FakeCall } from './watch-call.js';

const protoDir = `${repoRoot}proto`;
const flag = '--enable-grpc-reflection';
const versions = ['v1', 'v1alpha'];

async function methodsWith(...flags: string[]): Promise<ReadonlyMap<string, MethodHandler>> {
  return allMethods((await SimClient.start(new SimMachine(11), ...flags)).node.node);
}

let methods: ReadonlyMap<string, MethodHandler>;
beforeAll(async () => {
  methods = await methodsWith(flag);
});

function handlerOf(version = 'v1'): StreamHandler {
  const method = methods.get(reflectionMethod(version));
  if (method?.kind !== 'bidi') throw new Error('not a stream in both directions');
  return method.handle;
}

/** A call with these requests, half-closed. */
function callWith(requests: readonly Asked[], version = 'v1'): FakeCall {
  const call = new FakeCall();
  handlerOf(version)(call);
  for (const request of requests) call.onMessage?.(encodeAsked(request));
  call.onEnd?.();
  return call;
}

function ask(request: Asked): Reflected {
  const { sent, ended } = callWith([request]);
  expect(ended).toBe('ended');
  expect(sent).toHaveLength(1);
  return decodeReflected(sent[0] ?? Buffer.alloc(0));
}

/** Names of the files in an answer. */
function namesOf(answer: Reflected): string[] {
  return filesOf(answer).map((bytes) => descriptor.FileDescriptorProto.decode(bytes).name ?? '');
}

describe('without --enable-grpc-reflection', () => {
  it('no member has it', async () => {
    const names = [...(await methodsWith()).keys()];
    expect(names.filter((name) => name.includes('reflection'))).toEqual([]);
  });
});

describe('gRPC reflection', () => {
  it.each(versions)('lists the services that are served, %s', (version) => {
    const served = new Set([...methods.keys()].map((name) => name.split('/')[1]));
    expect(served).toContain('etcdserverpb.KV');
    for (const text of ['', '*']) {
      const [bytes = Buffer.alloc(0)] = callWith([{ list_services: text }], version).sent;
      const listed = servicesOf(decodeReflected(bytes));
      expect(listed).toEqual([...served].sort());
      expect(listed).toEqual(expect.arrayContaining(reflectionServices));
    }
  });

  it('repeats the request and its host, in order', () => {
    const requests = [
      { host: 'h', list_services: '' },
      { host: '', file_by_filename: 'kv.proto' },
      { host: 'ü', file_containing_extension: { containing_type: 'a', extension_number: -1 } },
    ];
    const answers = callWith(requests).sent.map(decodeReflected);
    expect(answers.map((answer) => answer.original_request)).toMatchObject([
      { host: 'h', list_services: '' },
      { file_by_filename: 'kv.proto' },
      { host: 'ü', file_containing_extension: { containing_type: 'a', extension_number: -1 } },
    ]);
    expect(answers.map((answer) => answer.valid_host ?? '')).toEqual(['h', '', 'ü']);
  });

  it('gives a file with all that it imports, each once', () => {
    expect(namesOf(ask({ file_by_filename: 'kv.proto' }))).toEqual(['kv.proto']);
    const names = namesOf(ask({ file_by_filename: 'v3election.proto' }));
    expect(names[0]).toBe('v3election.proto');
    expect([...names].sort()).toEqual(['auth.proto', 'kv.proto', 'rpc.proto', 'v3election.proto']);
  });

  it.each([
    ['etcdserverpb.KV', 'rpc.proto'],
    ['etcdserverpb.KV.Range', 'rpc.proto'],
    ['etcdserverpb.RangeRequest', 'rpc.proto'],
    ['etcdserverpb.RangeRequest.range_end', 'rpc.proto'],
    ['etcdserverpb.RangeRequest.SortOrder', 'rpc.proto'],
    ['etcdserverpb.RangeRequest.DESCEND', 'rpc.proto'],
    ['etcdserverpb.Compare.target_union', 'rpc.proto'],
    ['etcdserverpb.AlarmType', 'rpc.proto'],
    ['etcdserverpb.NOSPACE', 'rpc.proto'],
    ['mvccpb.KeyValue', 'kv.proto'],
    ['grpc.health.v1.HealthListResponse.StatusesEntry', 'health.proto'],
    ['grpc.reflection.v1alpha.ErrorResponse', 'reflection_v1alpha.proto'],
  ])('finds the file of %s', (name, file) => {
    expect(namesOf(ask({ file_containing_symbol: name }))[0]).toBe(file);
  });

  it('answers with NOT_FOUND what there is not, and goes on', () => {
    const unknown = [
      { file_by_filename: 'etc/passwd' },
      { file_by_filename: '../proto/kv.proto' },
      { file_by_filename: '' },
      { file_containing_symbol: 'etcdserverpb' },
      { file_containing_symbol: 'etcdserverpb.KV.Nothing' },
      { file_containing_symbol: '__proto__' },
      { file_containing_symbol: '' },
      { file_containing_extension: { containing_type: 'mvccpb.KeyValue', extension_number: 7 } },
      { all_extension_numbers_of_type: 'etcdserverpb.KV' },
      { all_extension_numbers_of_type: 'constructor' },
    ];
    const { sent, ended } = callWith([...unknown, { list_services: '' }]);
    const answers = sent.map(decodeReflected);
    const last = answers.pop();
    expect(answers.map((answer) => answer.error_response?.error_code)).toEqual(
      unknown.map(() => GrpcCode.NOT_FOUND),
    );
    expect(servicesOf(last ?? {})).not.toEqual([]);
    expect(ended).toBe('ended');
  });

  it('knows that no message has extensions', () => {
    const answer = ask({ all_extension_numbers_of_type: 'mvccpb.KeyValue' });
    expect(answer.all_extension_numbers_response).toEqual({ base_type_name: 'mvccpb.KeyValue' });
  });

  it('says that it does not know a request of a newer version', () => {
    expect(ask({ host: 'h' }).error_response?.error_code).toBe(GrpcCode.UNIMPLEMENTED);
  });
});

describe('the files that reflection gives', () => {
  const all = (): descriptor.IFileDescriptorProto[] => {
    return readdirSync(protoDir).flatMap((name) => {
      const [bytes = Buffer.alloc(0)] = filesOf(ask({ file_by_filename: name }));
      const file = descriptor.FileDescriptorProto.decode(bytes);
      return [file as descriptor.IFileDescriptorProto];
    });
  };

  it('are all files of proto/, and say what these say', () => {
    expect(existsSync(`${protoDir}/rpc.proto`)).toBe(true);
    const given = protobuf.Root.fromDescriptor({ file: all() }, { keepCase: true });
    given.resolveAll();
    const written = new protobuf.Root();
    written.resolvePath = (_origin, target) => {
      return target.startsWith('/') ? target : `${protoDir}/${target}`;
    };
    const paths = readdirSync(protoDir).map((name) => `${protoDir}/${name}`);
    written.loadSync(paths, { keepCase: true }).resolveAll();
    expect(shapeOf(given)).toEqual(shapeOf(written));
    expect(Object.keys(shapeOf(given)).length).toBeGreaterThan(150);
  });

  it('name types in full, and are of proto3', () => {
    for (const file of all()) {
      expect(file.syntax).toBe('proto3');
      expect(file.package).not.toBe('');
      const text = JSON.stringify(file);
      const typeNames = [...text.matchAll(/"(?:typeName|inputType|outputType)":"([^"]*)"/g)];
      for (const [, name = ''] of typeNames) expect(name).toMatch(/^\.\w/);
    }
  });

  it('are the same for v1 and v1alpha but for the package', () => {
    const [alpha, stable] = ['reflection_v1alpha.proto', 'reflection.proto'].map((name) => {
      const file = all().find((each) => each.name === name);
      return JSON.stringify(file).replaceAll(name, '').replaceAll('v1alpha', 'v1');
    });
    expect(alpha).toBe(stable);
  });
});

/** Every message, enum and method of a root, as far as the wire knows them. */
function shapeOf(root: protobuf.Namespace): Record<string, unknown> {
  const shape: Record<string, unknown> = {};
  const visit = (item: protobuf.ReflectionObject): void => {
    if (item instanceof protobuf.Enum) shape[item.fullName] = { ...item.values };
    if (item instanceof protobuf.Type) shape[item.fullName] = fieldsOf(item);
    if (item instanceof protobuf.Service) shape[item.fullName] = rpcsOf(item);
    if (item instanceof protobuf.Namespace) item.nestedArray.forEach(visit);
  };
  visit(root);
  return shape;
}

function fieldsOf(type: protobuf.Type): unknown[] {
  return type.fieldsArray.map((field) => [
    ...[field.name, field.id, field.resolvedType?.fullName ?? field.type, field.repeated],
    ...[field.partOf?.name, field instanceof protobuf.MapField ? field.keyType : undefined],
  ]);
}

function rpcsOf(service: protobuf.Service): unknown[] {
  return service.methodsArray.map((method) => [
    ...[method.name, method.resolvedRequestType?.fullName, method.resolvedResponseType?.fullName],
    ...[method.requestStream === true, method.responseStream === true],
  ]);
}

describe('whom reflection answers', () => {
  const behind = (version: string, isLearner: boolean): FakeCall => {
    const name = reflectionMethod(version);
    const access = new FakeAccess();
    const method: MethodHandler = { kind: 'bidi', handle: handlerOf(version) };
    const guards = { metrics: undefined, isLearner: () => isLearner, hasLeader: () => false };
    const door = guarded([[name, method]], { ...guards, access }).get(name);
    const call = new FakeCall();
    if (door?.kind === 'bidi') door.handle(call);
    call.onMessage?.(encodeAsked({ list_services: '' }));
    return call;
  };

  it.each(versions)('a learner answers, and asks for no user while auth is on, %s', (version) => {
    for (const isLearner of [false, true]) {
      const { sent, ended } = behind(version, isLearner);
      expect(ended).toBe('open');
      expect(servicesOf(decodeReflected(sent[0] ?? Buffer.alloc(0)))).toContain('etcdserverpb.KV');
    }
    expect(requirementOf(reflectionMethod(version))).toBe('open');
  });
});

describe('a client of reflection that means ill', () => {
  const open = (): FakeCall => {
    const call = new FakeCall();
    handlerOf()(call);
    return call;
  };

  it('is refused what is longer than any name', () => {
    const overhead = encodeAsked({ file_by_filename: 'x'.repeat(1000) }).length - 1000;
    const longest = 'x'.repeat(reflectionRequestBytesMax - overhead);
    const call = open();
    call.onMessage?.(encodeAsked({ file_by_filename: longest }));
    expect(call.ended).toBe('open');
    expect(call.sent[0]?.length).toBeLessThan(3 * reflectionRequestBytesMax);
    call.onMessage?.(encodeAsked({ file_by_filename: `${longest}x` }));
    expect(call.ended).toEqual({
      code: GrpcCode.RESOURCE_EXHAUSTED,
      text: 'grpc: received message larger than max (4097 vs. 4096)',
    });
    expect(call.sent).toHaveLength(1);
  });

  it('gets an error for what is no message', () => {
    const call = open();
    call.onMessage?.(Buffer.from('3affffffff0f', 'hex'));
    expect(call.ended).toMatchObject({
      code: GrpcCode.INTERNAL,
      text: expect.stringMatching(/^grpc: error unmarshalling request: /),
    });
    expect(call.sent).toEqual([]);
  });

  it('is not read from while it does not read', () => {
    const call = open();
    call.stuck = true;
    call.onMessage?.(encodeAsked({ file_by_filename: 'rpc.proto' }));
    expect(call.paused).toBe(true);
    call.drain();
    expect(call.paused).toBe(false);
    call.onMessage?.(encodeAsked({ file_by_filename: 'rpc.proto' }));
    expect(call.paused).toBe(false);
    expect(call.sent).toHaveLength(2);
  });

  it('goes on when what it sent meanwhile fills it again', () => {
    const call = open();
    const asked = encodeAsked({ file_by_filename: 'rpc.proto' });
    const held = [asked, asked];
    // As the transport: what was held comes while the call is resumed.
    call.resume = () => {
      call.paused = false;
      for (let next = held.shift(); next !== undefined; next = held.shift()) {
        call.onMessage?.(next);
        if (call.paused) return;
      }
    };
    call.stuck = true;
    call.onMessage?.(asked);
    for (const sent of [2, 3]) {
      call.stuck = true;
      call.onDrain?.();
      expect(call.sent).toHaveLength(sent);
      expect(call.paused).toBe(true);
    }
    call.onDrain?.();
    expect(call.paused).toBe(false);
  });
});
