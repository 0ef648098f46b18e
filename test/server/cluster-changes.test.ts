import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { idToHex } from '../../src/common/index.js';
import { eventually } from '../helpers/eventually.js';
import { bytes } from '../helpers/grpc.js';
import { failure, Wires } from './wires.js';

const { status } = grpc;

let wires = new Wires();
afterEach(async () => {
  await wires.stop();
  wires = new Wires();
});

const loose = '--strict-reconfig-check=false';

describe('the members of a running cluster', () => {
  it('grow from one to three, change, and shrink', async () => {
    await wires.found(['n1'], loose);
    await wires.at('n1').put({ key: bytes('a'), value: bytes('1') });
    const added = await wires.change('n1', 'MemberAdd', { peerURLs: [wires.url('n2')] });
    expect(added.header.revision).toBe('0');
    expect(added.member).toMatchObject({ name: '', peerURLs: [wires.url('n2')], isLearner: false });
    expect(added.members.map(({ ID }) => ID)).toContain(added.member.ID);
    await wires.join('n2', ['n1', 'n2']);
    expect(wires.id('n2')).toBe(added.member.ID);
    // Through the member that does not lead: it answers when it knows itself.
    const { followers } = await wires.roles();
    const via = followers[0] as string;
    const third = await wires.change(via, 'MemberAdd', { peerURLs: [wires.url('n3')] });
    expect(third.members.length).toBe(3);
    expect(third.header.member_id).toBe(wires.id(via));
    await wires.join('n3', ['n1', 'n2', 'n3']);
    const { kvs } = await wires.at('n3').range({ key: bytes('a') });
    expect(kvs[0]?.value.toString()).toBe('1');

    const { members } = await wires.at('n3').memberList();
    expect(members.map(({ name }) => name).sort()).toEqual(['n1', 'n2', 'n3']);
    expect(members.every(({ clientURLs }) => clientURLs.length === 1)).toBe(true);

    const moved = { ID: wires.id('n3'), peerURLs: ['http://127.0.0.9:2380'] };
    const updated = await wires.change('n2', 'MemberUpdate', moved);
    expect(updated.members.find(({ ID }) => ID === moved.ID)?.peerURLs).toEqual(moved.peerURLs);
    await wires.change('n1', 'MemberUpdate', { ID: moved.ID, peerURLs: [wires.url('n3')] });
    // What no member could dial, or is more than anybody has, never gets into the log.
    const many = Array.from({ length: 65 }, (_, i) => `http://127.0.0.9:${i + 1}`);
    for (const peerURLs of [['not a url'], ['http://'], [''], [], ['ftp://x:1'], many]) {
      for (const method of ['MemberUpdate', 'MemberAdd'] as const) {
        const call = wires.change('n2', method, { ID: moved.ID, peerURLs });
        expect(await failure(call), `${method} ${peerURLs}`).toEqual({
          code: status.INVALID_ARGUMENT,
          details: 'etcdserver: given member URLs are invalid',
        });
      }
    }

    const removed = await wires.change('n1', 'MemberRemove', { ID: wires.id('n3') });
    expect(removed.members.length).toBe(2);
    const again = failure(wires.change('n2', 'MemberRemove', { ID: wires.id('n3') }));
    expect(await again).toEqual({
      code: status.NOT_FOUND,
      details: 'etcdserver: member not found',
    });
  });

  it('learn before they vote', async () => {
    await wires.found(['n1', 'n2', 'n3'], loose);
    const { leader, followers } = await wires.roles();
    const via = followers[0] as string;
    const request = { peerURLs: [wires.url('n4')], isLearner: true };
    const { member } = await wires.change(via, 'MemberAdd', request);
    expect(member.isLearner).toBe(true);
    const second = { peerURLs: [wires.url('n5')], isLearner: true };
    expect(await failure(wires.change(via, 'MemberAdd', second))).toEqual({
      code: status.FAILED_PRECONDITION,
      details: 'etcdserver: too many learner members in cluster',
    });
    for (const at of [leader, via]) {
      expect(await failure(wires.change(at, 'MemberPromote', { ID: member.ID }))).toEqual({
        code: status.FAILED_PRECONDITION,
        details: 'etcdserver: can only promote a learner member which is in sync with leader',
      });
    }
    await wires.join('n4', ['n1', 'n2', 'n3', 'n4']);
    const learner = wires.at('n4');
    const refused = {
      code: status.FAILED_PRECONDITION,
      details: 'etcdserver: rpc not supported for learner',
    };
    expect(await failure(learner.put({ key: bytes('a'), value: bytes('1') }))).toEqual(refused);
    expect(await failure(learner.range({ key: bytes('a') }))).toEqual(refused);
    expect(await failure(learner.memberList())).toEqual(refused);
    await learner.range({ key: bytes('a'), serializable: true });
    expect(await learner.status()).toMatchObject({ isLearner: true, leader: wires.id(leader) });

    const promoted = await eventually(
      () => wires.change(via, 'MemberPromote', { ID: member.ID }).catch(() => undefined),
      'in sync',
    );
    expect(promoted.members.every(({ isLearner }) => !isLearner)).toBe(true);
    expect(await failure(wires.change(via, 'MemberPromote', { ID: member.ID }))).toEqual({
      code: status.FAILED_PRECONDITION,
      details: 'etcdserver: can only promote a learner member',
    });
    await eventually(
      () => learner.put({ key: bytes('a'), value: bytes('1') }).catch(() => undefined),
      'the promoted member serves',
    );
  });

  it('are the same after restarts, with a learner and after its promotion (L-30)', async () => {
    await wires.found(['n1'], loose);
    const request = { peerURLs: [wires.url('n2')], isLearner: true };
    const { member } = await wires.change('n1', 'MemberAdd', request);
    await wires.join('n2', ['n1', 'n2']);
    const restart = async (name: string): Promise<void> => {
      await wires.members.get(name)?.stop();
      await wires.members.get(name)?.start();
    };
    const expectMembers = async (isLearner: boolean): Promise<void> => {
      const { members } = await wires.at('n1').memberList();
      expect(members.length).toBe(2);
      expect(members.find(({ ID }) => ID === member.ID)).toMatchObject({ name: 'n2', isLearner });
    };
    for (let i = 0; i < 3; i++) {
      await restart('n2');
      await restart('n1');
      await expectMembers(true);
    }
    await eventually(
      () => wires.change('n1', 'MemberPromote', { ID: member.ID }).catch(() => undefined),
      'in sync',
    );
    for (let i = 0; i < 3; i++) {
      await restart('n2');
      await restart('n1');
      await expectMembers(false);
      await wires.at('n2').put({ key: bytes('a'), value: bytes(String(i)) });
    }
  });

  it('are left by one that was removed, also by its own hand (R-27)', async () => {
    await wires.found(['n1', 'n2', 'n3'], loose);
    const { leader, followers } = await wires.roles();
    const gone = followers[0] as string;
    const stay = followers[1] as string;
    const { members } = await wires.change(gone, 'MemberRemove', { ID: wires.id(gone) });
    expect(members.map(({ ID }) => ID)).not.toContain(wires.id(gone));
    await wires.change(leader, 'MemberRemove', { ID: wires.id(leader) });
    await eventually(
      () =>
        wires
          .at(stay)
          .put({ key: bytes('a'), value: bytes('1') }, { deadlineMs: 500 })
          .catch(() => undefined),
      'the last member goes on alone',
    );
    const last = failure(wires.change(stay, 'MemberRemove', { ID: wires.id(stay) }));
    expect(await last).toEqual({
      code: status.UNKNOWN,
      details: 'etcdserver: re-configuration failed due to not enough started members',
    });
  });

  it('do not take back one that has lost its disk (L-32)', async () => {
    await wires.found(['n1', 'n2', 'n3']);
    const { followers } = await wires.roles();
    const wiped = followers[0] as string;
    const id = BigInt(wires.id(wiped));
    await wires.members.get(wiped)?.dispose();
    const names = ['n1', 'n2', 'n3'];
    for (const state of ['new', 'existing']) {
      const empty = await wires.create(wiped, names, `--initial-cluster-state=${state}`);
      await expect(empty.start()).rejects.toThrow(
        `member ${idToHex(id)} has already been bootstrapped`,
      );
      await empty.dispose();
    }
  });
});

describe('leases in a cluster', () => {
  it('are renewed and told by any member, as soon as they are granted (L-17, L-18)', async () => {
    await wires.found(['n1', 'n2', 'n3']);
    for (const at of wires.members.keys()) {
      const { ID } = await wires.at(at).leaseGrant({ TTL: 100 });
      await wires.at(at).put({ key: bytes(`on ${at}`), value: bytes('x'), lease: ID });
      for (const other of wires.members.keys()) {
        const client = wires.at(other);
        const call = client.duplex<object, { TTL: string }>('etcdserverpb.Lease', 'LeaseKeepAlive');
        call.send({ ID });
        expect((await call.reader.next()).TTL).toBe('100');
        call.endSending();
        const told = await client.leaseTimeToLive({ ID, keys: true });
        expect(Number(told.TTL)).toBeGreaterThan(90);
        expect(told.keys.map(String)).toEqual([`on ${at}`]);
      }
      await wires.at(at).leaseRevoke({ ID });
      for (const other of wires.members.keys()) {
        const client = wires.at(other);
        const call = client.duplex<object, { TTL: string }>('etcdserverpb.Lease', 'LeaseKeepAlive');
        call.send({ ID });
        expect((await call.reader.next()).TTL).toBe('0');
        call.endSending();
        expect((await client.leaseTimeToLive({ ID })).TTL).toBe('-1');
      }
    }
  });
});

describe('leadership', () => {
  it('moves when the leader is asked to, to a member that votes', async () => {
    await wires.found(['n1', 'n2', 'n3']);
    const { leader, followers } = await wires.roles();
    const target = followers[0] as string;
    const move = (at: string, targetID: string) =>
      wires.at(at).unary<object>('etcdserverpb.Maintenance', 'MoveLeader', { targetID });
    expect(await failure(move(target, wires.id(leader)))).toEqual({
      code: status.FAILED_PRECONDITION,
      details: 'etcdserver: not leader',
    });
    expect(await failure(move(leader, '5'))).toEqual({
      code: status.FAILED_PRECONDITION,
      details: 'etcdserver: bad leader transferee',
    });
    expect(await move(leader, wires.id(target))).toEqual({ header: null });
    await eventually(() => wires.members.get(target)?.isLeader || undefined, 'moved');
  });
});
