import { describe, expect, it } from 'vitest';
import { GrpcCode } from '../../src/common/index.js';
import { encodeRangeRequest, memberListRequest } from '../../src/proto/index.js';
import { openAccess } from '../../src/server/access/index.js';
import { guarded } from '../../src/server/rpc/index.js';
import type { MethodHandler } from '../../src/transport/index.js';
import { FakeCall } from './watch-call.js';

const names = [
  '/etcdserverpb.KV/Range',
  '/etcdserverpb.KV/RangeStream',
  '/etcdserverpb.KV/Put',
  '/etcdserverpb.Watch/Watch',
  '/etcdserverpb.Lease/LeaseKeepAlive',
  '/etcdserverpb.Cluster/MemberList',
  '/etcdserverpb.Maintenance/Status',
  '/etcdserverpb.Maintenance/Snapshot',
  '/grpc.health.v1.Health/Check',
];
const bidi = new Set(['/etcdserverpb.Watch/Watch', '/etcdserverpb.Lease/LeaseKeepAlive']);

/** Names of the methods whose handlers ran; the others were refused with etcd's error. */
function answered(isLearner: boolean, request: Buffer, isReadOnly = false): string[] {
  const ran: string[] = [];
  const methods = guarded(
    names.map((name): readonly [string, MethodHandler] => {
      const handle = () => void ran.push(name);
      return [name, bidi.has(name) ? { kind: 'bidi', handle } : { kind: 'unary', handle }];
    }),
    {
      ...{ metrics: undefined, isLearner: () => isLearner, isReadOnly },
      ...{ hasLeader: () => true, access: openAccess },
    },
  );
  for (const [name, method] of methods) {
    const call = new FakeCall();
    if (method.kind === 'bidi') method.handle(call);
    else method.handle(request, call);
    if (ran.includes(name)) continue;
    expect(call.ended, name).toEqual({
      code: GrpcCode.FAILED_PRECONDITION,
      text: 'etcdserver: rpc not supported for learner',
    });
  }
  return ran;
}

const range = (serializable: boolean): Buffer => encodeRangeRequest({ key: 'a', serializable });

describe('a learner', () => {
  it('answers nothing but Status, Snapshot and serializable ranges', () => {
    expect(answered(true, range(false))).toEqual([
      '/etcdserverpb.Maintenance/Status',
      '/etcdserverpb.Maintenance/Snapshot',
    ]);
    expect(answered(true, range(true))).toEqual([
      '/etcdserverpb.KV/Range',
      '/etcdserverpb.Maintenance/Status',
      '/etcdserverpb.Maintenance/Snapshot',
    ]);
  });

  it('answers watches and serializable reads, too, if it is a read-only member', () => {
    const always = [
      '/etcdserverpb.Watch/Watch',
      // What is no request of this kind is for the handler to refuse.
      '/etcdserverpb.Cluster/MemberList',
      '/etcdserverpb.Maintenance/Status',
      '/etcdserverpb.Maintenance/Snapshot',
      '/grpc.health.v1.Health/Check',
    ];
    expect(answered(true, range(false), true)).toEqual(always);
    expect(answered(true, range(true), true)).toEqual([
      '/etcdserverpb.KV/Range',
      '/etcdserverpb.KV/RangeStream',
      ...always,
    ]);
    const list = memberListRequest.encode({ linearizable: true });
    expect(answered(true, list, true)).not.toContain('/etcdserverpb.Cluster/MemberList');
  });

  it('answers everything once it votes', () => {
    expect(answered(false, range(false))).toEqual(names);
    expect(answered(false, range(false), true)).toEqual(names);
  });
});

describe('a call that requires a leader', () => {
  it('is refused by every service while there is none, and others are not', () => {
    const refused = (metadata: Record<string, string>): string[] => {
      const wrong: string[] = [];
      const unary = names.filter((name) => !bidi.has(name));
      const methods = guarded(
        unary.map((name) => [name, { kind: 'unary', handle: () => {} }] as const),
        { metrics: undefined, isLearner: () => false, hasLeader: () => false, access: openAccess },
      );
      for (const [name, method] of methods) {
        const call = new FakeCall();
        call.metadata = (key: string) => metadata[key];
        if (method.kind !== 'bidi') method.handle(range(true), call);
        if (call.ended === 'open') continue;
        expect(call.ended).toEqual({ code: GrpcCode.UNAVAILABLE, text: 'etcdserver: no leader' });
        wrong.push(name);
      }
      return wrong;
    };
    expect(refused({ hasleader: 'true' })).toEqual(names.filter((name) => !bidi.has(name)));
    expect(refused({})).toEqual([]);
  });
});
