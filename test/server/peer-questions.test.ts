import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { whoWeAre } from '../../src/server/cluster/feature.js';
import {
  decodeMemberRequest,
  encodeMemberReply,
  encodeMemberRequest,
  type MemberAdmin,
} from '../../src/server/cluster/member-admin.js';
import { LeaderLessor } from '../../src/server/lease/leader-lessor.js';
import { decodeRenewAnswer, encodeRenewRequest } from '../../src/server/lease/question-bodies.js';
import { CorruptionCheck } from '../../src/server/maintenance/corruption-check.js';
import { PeerAdmission } from '../../src/server/membership/admission.js';
import { decodeClusterAnswer } from '../../src/server/membership/cluster-answer.js';
import { Membership } from '../../src/server/membership/membership.js';
import { PeerQuestions } from '../../src/server/node/peer-questions.js';
import type { PeerMethod } from '../../src/server/peers/types.js';

const codec = new Packr({ useRecords: false, moreTypes: false });
const methods: readonly PeerMethod[] = [
  'cluster',
  'memberChange',
  'leaseRenew',
  'leaseTimeToLive',
  'hashKv',
];

function setup() {
  const membership = new Membership();
  const member = { name: 'n', clientUrls: [], isLearner: false, incarnation: 0n };
  const members = [1n, 2n].map((id) => ({ ...member, id, peerUrls: [`http://${id}`] }));
  membership.restore({ metaEntries: () => [] }, members);
  const executed: unknown[] = [];
  const memberAdmin = {
    answer: async (body: Uint8Array): Promise<Uint8Array> => {
      executed.push(decodeMemberRequest(body));
      return encodeMemberReply(77n);
    },
  } as unknown as MemberAdmin;
  const clock = { nowMs: () => 0 } as never;
  const self = 1n;
  const version = '0.1.0';
  const admission = new PeerAdmission({
    ...{ clusterId: 5n, self, version, membership, clock },
    graceMs: 0,
  });
  const leaderLessor = new LeaderLessor({
    clock,
    timeoutMs: 1000,
    questions: { leadsHere: true } as never,
    raft: { term: 2 },
    lessor: {
      isPrimary: true,
      renew: (id, waiter) => waiter.renewed(undefined, id === 9n ? 0 : 60),
      // biome-ignore lint/correctness/useYield: it has nothing to wait for.
      *timeToLive() {
        return undefined;
      },
      // biome-ignore lint/correctness/useYield: nor has this.
      *keysOf() {
        return undefined;
      },
    },
    read: (run, context) => run(context, undefined),
    readBarrier: async () => {},
  });
  const corruptionCheck = new CorruptionCheck({
    authState: { revision: 1, sum: 0 },
    store: {
      revision: 3,
      hashKv: async () => ({ hash: 1, compactRevision: -1, hashRevision: 3 }),
    },
  } as unknown as ConstructorParameters<typeof CorruptionCheck>[0]);
  const us = { clusterId: 5n, memberId: self, membership, admission };
  const questions = new PeerQuestions([
    { questions: [['cluster', () => whoWeAre(us)]] },
    { questions: [['memberChange', (body) => memberAdmin.answer(body)]] },
    { questions: [['leaseRenew', (body) => leaderLessor.answerRenew(body)]] },
    { questions: [['leaseTimeToLive', (body) => leaderLessor.answerTimeToLive(body)]] },
    { questions: [['hashKv', (body) => corruptionCheck.answer(body)]] },
  ]);
  return { questions, admission, executed };
}

describe('questions of other members', () => {
  it('go to whoever can answer them', async () => {
    const { questions, admission, executed } = setup();
    admission.admit({ clusterId: 5n, memberId: 2n, incarnation: 8n, version: '0.2.0' }, 1n);
    const answer = decodeClusterAnswer(await questions.call(2n, 'cluster', Buffer.alloc(0)));
    expect(answer).toMatchObject({ clusterId: 5n, memberId: 1n, etcdVersion: '3.7.3' });
    expect(answer.members.map(({ incarnation }) => incarnation)).toEqual([0n, 8n]);
    const remove = { type: 'remove', id: 2n } as const;
    const stamp = { term: 2, clockMs: 9 };
    await questions.call(2n, 'memberChange', encodeMemberRequest(remove, stamp));
    expect(executed).toEqual([{ request: remove, stamp }]);
    const renewed = await questions.call(2n, 'leaseRenew', encodeRenewRequest([7n, 9n, -1n]));
    expect(decodeRenewAnswer(renewed)).toEqual([60, 0, 60]);
    const hash = codec.unpack(await questions.call(2n, 'hashKv', codec.pack({ revision: 0 })));
    expect(hash).toMatchObject({ hash: 1, hashedRevision: 3 });
  });

  it('are not answered to one that is no member, but who is there', async () => {
    const { questions } = setup();
    for (const method of methods) {
      const answer = questions.call(0n, method, codec.pack({ revision: 0 }));
      if (method === 'cluster') await answer;
      else await expect(answer).rejects.toMatchObject({ reason: 'MEMBER_NOT_FOUND' });
    }
  });

  it('are rejected when they make no sense, and change nothing', async () => {
    const value = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(fc.integer()),
    );
    const keys = ['type', 'id', 'peerUrls', 'isLearner', 'ids', 'keys', 'revision'];
    const object = fc.dictionary(fc.constantFrom(...keys), value).map((one) => codec.pack(one));
    const body = fc.oneof(fc.uint8Array({ maxLength: 50 }), object);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...methods.slice(1)), body, async (method, bytes) => {
        const { questions, executed } = setup();
        await questions.call(2n, method, Buffer.from(bytes)).catch((error: unknown) => {
          expect(error).toBeInstanceOf(Error);
        });
        expect(executed).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });
});
