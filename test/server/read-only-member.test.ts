/** --read-only-member and --auto-promote-learners on clusters of real members. */

import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { bytes } from '../helpers/grpc.js';
import { failure, Wires } from './wires.js';

let wires = new Wires();
afterEach(async () => {
  await wires.stop();
  wires = new Wires();
});

const loose = '--strict-reconfig-check=false';
const auto = '--auto-promote-learners';
const founders = ['n1', 'n2', 'n3'];
const unsupported = {
  code: grpc.status.FAILED_PRECONDITION,
  details: 'etcdserver: rpc not supported for learner',
};

/** Adds a learner and starts it, with these flags. */
async function addLearner(name: string, present: readonly string[], ...flags: string[]) {
  const via = present[0] as string;
  const request = { peerURLs: [wires.url(name)], isLearner: true };
  const { member } = await wires.change(via, 'MemberAdd', request);
  await wires.join(name, [...present, name], ...flags);
  return member.ID;
}

async function isLearner(id: string): Promise<boolean | undefined> {
  const { members } = await wires.at('n1').memberList();
  return members.find(({ ID }) => ID === id)?.isLearner;
}

const promotes = (id: string) => wires.change('n1', 'MemberPromote', { ID: id });

describe('--auto-promote-learners', () => {
  it('makes voters of several learners without being asked, but for those that only read', async () => {
    const flags = [loose, auto, '--max-learners=3'];
    await wires.found(founders, ...flags);
    const reader = await addLearner('n4', founders, '--read-only-member', ...flags);
    const second = await addLearner('n5', [...founders, 'n4'], ...flags);
    const third = await addLearner('n6', [...founders, 'n4', 'n5'], ...flags);
    await eventually(
      async () => (await isLearner(second)) === false || undefined,
      'the first learner votes',
    );
    await eventually(
      async () => (await isLearner(third)) === false || undefined,
      'the second learner votes',
    );
    // It was there, and had caught up, before the others.
    expect(await isLearner(reader)).toBe(true);
    expect(await failure(promotes(reader))).toEqual({
      code: grpc.status.FAILED_PRECONDITION,
      details:
        'kvorum: a read-only member stays a learner; start it without --read-only-member to promote it',
    });
  });
});

describe('a read-only member', () => {
  it('serves watches and serializable reads, and nothing that asks the others', async () => {
    await wires.found(founders, loose);
    await wires.at('n1').put({ key: bytes('a'), value: bytes('1') });
    await addLearner('n4', founders, '--read-only-member');
    const reader = wires.at('n4');
    const watch = reader.duplex<object, { created: boolean; events: unknown[] }>(
      'etcdserverpb.Watch',
      'Watch',
    );
    watch.send({ create_request: { key: bytes('a'), start_revision: '1' } });
    expect((await watch.reader.next()).created).toBe(true);
    expect((await watch.reader.next()).events).toHaveLength(1);
    await wires.at('n2').put({ key: bytes('a'), value: bytes('2') });
    expect((await watch.reader.next()).events).toHaveLength(1);
    watch.endSending();
    const { kvs } = await reader.range({ key: bytes('a'), serializable: true });
    expect(kvs[0]?.value.toString()).toBe('2');
    const refused = [
      reader.range({ key: bytes('a') }),
      reader.put({ key: bytes('a'), value: bytes('3') }),
      reader.leaseGrant({ TTL: 10 }),
      wires.change('n4', 'MemberRemove', { ID: '1' }),
    ];
    for (const call of refused) expect(await failure(call)).toEqual(unsupported);
  });

  it('stays one over restarts, and can be promoted once it is started without the flag', async () => {
    await wires.found(founders, loose);
    const id = await addLearner('n4', founders, '--read-only-member');
    const names = [...founders, 'n4'];
    const refused = async () =>
      (await failure(promotes(id))).details.startsWith('kvorum: a read-only');
    expect(await refused()).toBe(true);
    for (const name of names) {
      await wires.members.get(name)?.stop();
      await wires.members.get(name)?.start();
    }
    expect(await eventually(async () => (await refused()) || undefined, 'refused still')).toBe(
      true,
    );
    const member = wires.members.get('n4');
    await member?.stop();
    const flags = wires.flags.get('n4') ?? [];
    flags.splice(flags.indexOf('--read-only-member'), 1);
    await member?.start();
    await eventually(() => promotes(id).catch(() => undefined), 'promoted');
    expect(await isLearner(id)).toBe(false);
  });

  it('is no founder, and none that was added with a vote', async () => {
    const founder = await wires.create('n1', ['n1'], '--read-only-member');
    await expect(founder.start()).rejects.toThrow('--read-only-member needs');
    await founder.dispose();
    await wires.found(['n1'], loose);
    await wires.change('n1', 'MemberAdd', { peerURLs: [wires.url('n2')] });
    const voter = wires.join('n2', ['n1', 'n2'], '--read-only-member');
    await expect(voter).rejects.toThrow('was added as one that votes');
  });
});
