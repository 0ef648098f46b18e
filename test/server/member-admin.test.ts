import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { EtcdError, type MemberId, silentLogger } from '../../src/common/index.js';
import type { AgeStamp, ProgressView } from '../../src/raft/index.js';
import {
  decodeMemberRequest,
  encodeMemberReply,
  encodeMemberRequest,
  MemberAdmin,
  type MemberAdminOptions,
  type MemberRequest,
} from '../../src/server/cluster/member-admin.js';
import { LeaderQuestions } from '../../src/server/feature/leader-questions.js';
import { type MemberChange, Membership } from '../../src/server/membership/index.js';
import { Metrics } from '../../src/server/metrics/index.js';
import type { PeerMethod } from '../../src/server/peers/types.js';
import { SimClock } from '../../src/sim/index.js';

const nowhere = { setMeta(): void {} };

/** Member 1 of a cluster whose entries are applied at once; everything else is set by hand. */
class World {
  readonly clock = new SimClock();
  readonly membership = new Membership();
  readonly raft = {
    leader: 1n as MemberId,
    term: 3,
    ageStamp: { term: 3, clockMs: 1234 } as AgeStamp,
    isFresh: (_stamp: AgeStamp): boolean => true,
    progress: (): ProgressView[] =>
      [...this.match].map(([member, matchIndex]) => {
        return { member, matchIndex, active: !this.silent.has(member) } as ProgressView;
      }),
    status: () => ({ lastIndex: 1000 }) as never,
  };
  readonly match = new Map<MemberId, number>();
  readonly connected = new Map<MemberId, number>();
  /** Connected, but nothing was heard of them for an election timeout. */
  readonly silent = new Set<MemberId>();
  readonly metrics = new Metrics();
  readonly proposed: MemberChange[] = [];
  readonly asked: Array<readonly [MemberId, PeerMethod]> = [];
  /** What another member answers. */
  answer: (body: Uint8Array) => Promise<Uint8Array> = () => Promise.reject(new Error('no link'));
  read: () => Promise<void> = async () => {};
  readonly admin: MemberAdmin;

  constructor(started: readonly MemberId[], more: Partial<MemberAdminOptions> = {}) {
    const members = started.map((id) => ({
      id,
      name: `n${id}`,
      peerUrls: [`http://10.0.0.${id}:2380`],
      clientUrls: [],
      isLearner: false,
      incarnation: 0n,
    }));
    this.membership.restore({ metaEntries: () => [] }, members);
    const { clock, membership, raft } = this;
    const call = async (member: MemberId, method: PeerMethod, body: Uint8Array) => {
      this.asked.push([member, method]);
      return Buffer.from(await this.answer(body));
    };
    const leaderQuestions = new LeaderQuestions({
      self: 1n,
      clock,
      leader: () => raft.leader,
      peers: { call },
      timeoutMs: 7000,
      attemptMs: 1000,
    });
    this.admin = new MemberAdmin({
      self: 1n,
      clock,
      logger: silentLogger,
      membership,
      raft,
      loop: {
        propose: (_data, _update, respond, context) =>
          respond(context, _update, undefined, undefined),
        proposeConfigChange: (_steps, _data, change, respond, context) => {
          this.proposed.push(change as MemberChange);
          this.apply(change as MemberChange);
          respond(context, change, undefined, undefined);
        },
      },
      leaderQuestions,
      peers: { connectedSinceMs: (member) => this.connected.get(member) },
      read: () => this.read(),
      metrics: this.metrics,
      strictReconfigCheck: true,
      learnersMax: 1,
      timeoutMs: 7000,
      ...more,
    });
  }

  apply(change: MemberChange): void {
    this.membership.applyChange(nowhere, change);
  }

  /** Added, but it has not started. */
  addUnstarted(id: MemberId, isLearner = false): void {
    this.apply({ type: 'add', id, peerUrls: [`http://${id}`], isLearner, learnersMax: 9 });
  }

  async outcome(request: MemberRequest): Promise<string> {
    const done = this.admin.change(request).then(
      () => 'done',
      (error: unknown) => (error instanceof EtcdError ? error.reason : String(error)),
    );
    return await this.clock.runUntil(done);
  }

  connect(...members: MemberId[]): void {
    for (const id of members) this.connected.set(id, this.clock.nowMs());
  }

  /** Connected, and in sync. */
  follow(...members: MemberId[]): void {
    this.connect(...members);
    for (const id of members) this.match.set(id, 1000);
  }
}

const add = (isLearner = false): MemberRequest => {
  return { type: 'add', peerUrls: ['http://new:2380'], isLearner };
};

describe('--strict-reconfig-check', () => {
  it('adds a voter only if enough have started, but always a second one', async () => {
    const alone = new World([1n]);
    expect(await alone.outcome(add())).toBe('done');
    const third = { ...add(), peerUrls: ['http://third:2380'] } as MemberRequest;
    expect(await alone.outcome(third)).toBe('NOT_ENOUGH_STARTED');
    const learner = { ...third, isLearner: true } as MemberRequest;
    expect(await alone.outcome(learner)).toBe('UNHEALTHY');
  });

  it('adds only while a quorum of the larger cluster has been connected for five seconds', async () => {
    const world = new World([1n, 2n, 3n]);
    expect(await world.outcome(add())).toBe('UNHEALTHY');
    world.connect(2n, 3n);
    await world.clock.run(5000);
    expect(await world.outcome(add())).toBe('UNHEALTHY');
    await world.clock.run(5001);
    expect(await world.outcome(add())).toBe('done');
    world.connected.delete(3n);
    const learner = { ...add(true), peerUrls: ['http://l:1'] } as MemberRequest;
    expect(await world.outcome(learner)).toBe('UNHEALTHY');
  });

  it('removes whoever is down, if the rest is a quorum of started members', async () => {
    const world = new World([1n, 2n, 3n]);
    world.connect(2n, 3n);
    expect(await world.outcome({ type: 'remove', id: 2n })).toBe('UNHEALTHY');
    world.connected.delete(3n);
    expect(await world.outcome({ type: 'remove', id: 3n })).toBe('done');
    world.addUnstarted(4n);
    // Of 1 and 4 only one has started.
    expect(await world.outcome({ type: 'remove', id: 2n })).toBe('NOT_ENOUGH_STARTED');
    expect(await world.outcome({ type: 'remove', id: 4n })).toBe('done');
    world.addUnstarted(5n, true);
    expect(await world.outcome({ type: 'remove', id: 5n })).toBe('done');
  });

  it('is off if the flag says so, but for the last voter', async () => {
    const world = new World([1n, 2n, 3n], { strictReconfigCheck: false });
    expect(await world.outcome(add())).toBe('done');
    const added = world.proposed[0]?.id ?? 0n;
    for (const id of [2n, 3n, added]) {
      expect(await world.outcome({ type: 'remove', id })).toBe('done');
    }
    expect(await world.outcome({ type: 'remove', id: 1n })).toBe('NOT_ENOUGH_STARTED');
  });

  it('answers at once also without a leader', async () => {
    const world = new World([1n, 2n, 3n]);
    world.raft.leader = 0n;
    expect(await world.outcome(add())).toBe('UNHEALTHY');
    expect(world.clock.nowMs()).toBe(0);
  });
});

describe('a promotion', () => {
  it('waits for nine tenths of the log of the leader', async () => {
    const world = new World([1n, 2n, 3n]);
    world.follow(2n, 3n);
    world.addUnstarted(4n, true);
    const promote: MemberRequest = { type: 'promote', id: 4n };
    expect(await world.outcome(promote)).toBe('MEMBER_NOT_FOUND'); // unknown to Raft
    world.match.set(4n, 899);
    expect(await world.outcome(promote)).toBe('LEARNER_NOT_READY');
    world.match.set(4n, 900);
    expect(await world.outcome(promote)).toBe('done');
    expect(await world.outcome(promote)).toBe('MEMBER_NOT_LEARNER');
    expect(await world.outcome({ type: 'promote', id: 1n })).toBe('MEMBER_NOT_LEARNER');
    expect(world.metrics.learnerPromotions).toBe(1);
  });

  it('is refused while the larger cluster could not agree: the learner went, or a voter', async () => {
    const promote: MemberRequest = { type: 'promote', id: 4n };
    const world = new World([1n, 2n, 3n]);
    world.addUnstarted(4n, true);
    // Three of four have to agree, and only 1 and 2 are there.
    world.follow(2n, 3n);
    world.match.set(4n, 1000);
    world.silent.add(3n);
    expect(await world.outcome(promote)).toBe('UNHEALTHY');
    expect(world.proposed).toEqual([]);
    // With the learner they are three.
    world.follow(4n);
    world.silent.add(4n);
    expect(await world.outcome(promote)).toBe('UNHEALTHY');
    world.silent.delete(4n);
    expect(await world.outcome(promote)).toBe('done');
    // Alone, the second vote is needed at once.
    const alone = new World([1n]);
    alone.addUnstarted(4n, true);
    alone.match.set(4n, 1000);
    expect(await alone.outcome(promote)).toBe('UNHEALTHY');
    alone.follow(4n);
    expect(await alone.outcome(promote)).toBe('done');
  });

  it('does not wait for a learner that nobody needs, and asks nothing if the flag is off', async () => {
    const promote: MemberRequest = { type: 'promote', id: 4n };
    const world = new World([1n, 2n, 3n]);
    world.addUnstarted(4n, true);
    world.follow(2n, 3n);
    world.match.set(4n, 1000);
    expect(await world.outcome(promote)).toBe('done');
    const loose = new World([1n], { strictReconfigCheck: false });
    loose.addUnstarted(4n, true);
    loose.match.set(4n, 1000);
    expect(await loose.outcome(promote)).toBe('done');
  });

  it('never makes a voter of a member that said that it only reads', async () => {
    const world = new World([1n, 2n, 3n], { strictReconfigCheck: false });
    world.follow(2n, 3n, 4n);
    world.addUnstarted(4n, true);
    const attributes = { id: 4n, name: 'reader', clientUrls: ['http://4:2379'], incarnation: 4n };
    world.membership.applyAttributes(nowhere, { ...attributes, isReadOnly: true });
    const promote: MemberRequest = { type: 'promote', id: 4n };
    expect(await world.outcome(promote)).toBe('LEARNER_READ_ONLY');
    expect(world.proposed).toEqual([]);
    // Started without the flag, it says so.
    world.membership.applyAttributes(nowhere, attributes);
    expect(await world.outcome(promote)).toBe('done');
    expect(world.membership.isReadOnly(4n)).toBe(false);
  });
});

describe('a change asked of a follower', () => {
  it('is made by the leader, and answered once this member has applied it', async () => {
    const world = new World([1n, 2n, 3n]);
    world.raft.leader = 2n;
    world.answer = async (body) => {
      expect(decodeMemberRequest(body)).toEqual({ request: add(), stamp: world.raft.ageStamp });
      world.clock.after(400, () => world.addUnstarted(77n));
      return encodeMemberReply(77n);
    };
    const id = world.admin.change(add());
    expect(await world.clock.runUntil(id)).toBe(77n);
    expect(world.clock.nowMs()).toBeGreaterThanOrEqual(400);
    expect(world.proposed).toEqual([]);
    expect(world.asked).toEqual([[2n, 'memberChange']]);
  });

  it('is asked again only of a leader that knows that nothing has happened', async () => {
    const world = new World([1n, 2n, 3n]);
    world.raft.leader = 2n;
    world.answer = () => {
      world.raft.leader = 3n;
      return Promise.reject(new EtcdError('NOT_LEADER'));
    };
    world.clock.after(10, () => {
      world.answer = () => Promise.reject(new Error('connection reset'));
    });
    expect(await world.outcome(add())).toBe('TIMEOUT');
    expect(world.asked.map(([member]) => member)).toEqual([2n, 3n]);
  });

  it('passes on what the leader says', async () => {
    const world = new World([1n, 2n, 3n]);
    world.raft.leader = 2n;
    world.answer = () => Promise.reject(new EtcdError('PEER_URL_EXISTS'));
    expect(await world.outcome(add())).toBe('PEER_URL_EXISTS');
  });
});

describe('a leader', () => {
  it('is refused if it loses its term while it makes sure that it leads', async () => {
    const world = new World([1n]);
    world.read = async () => {
      world.raft.term = 4;
    };
    await expect(world.admin.execute(add())).rejects.toMatchObject({ reason: 'NOT_LEADER' });
    expect(world.proposed).toEqual([]);
  });

  it('reads a request as it was written', () => {
    const requests: MemberRequest[] = [
      add(true),
      { type: 'promote', id: 2n ** 64n - 1n },
      { type: 'remove', id: 2n ** 63n },
    ];
    const stamp = { term: 7, clockMs: 123_456 };
    for (const request of requests) {
      expect(decodeMemberRequest(encodeMemberRequest(request, stamp))).toEqual({ request, stamp });
    }
  });

  it('is not made by a leader that finds it too old: it was answered long ago', async () => {
    const world = new World([1n]);
    const body = encodeMemberRequest(add(), { term: 3, clockMs: 55 });
    world.raft.isFresh = ({ term, clockMs }) => {
      expect([term, clockMs]).toEqual([3, 55]);
      return false;
    };
    await expect(world.admin.answer(body)).rejects.toMatchObject({ reason: 'NOT_LEADER' });
    expect(world.proposed).toEqual([]);
    // Of a version that says nothing of ages.
    const older = new Packr({ useRecords: false }).pack(add());
    await world.clock.runUntil(world.admin.answer(older));
    expect(world.proposed).toHaveLength(1);
  });
});
