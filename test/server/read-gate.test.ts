import { describe, expect, it } from 'vitest';
import { type EtcdError, readsWaitingBytesMax, readsWaitingMax } from '../../src/common/index.js';
import { ReadGate } from '../../src/server/node/read-gate.js';
import { SimClock } from '../../src/sim/index.js';

function setup(applied = 10) {
  const clock = new SimClock();
  const asked: number[] = [];
  const raft = { leader: true };
  const steps = { confirmedMs: 0 };
  const counts = { slowReadIndexes: 0, readIndexesFailed: 0, steps };
  const gate = new ReadGate({
    raft: {
      readIndex(context: number) {
        if (!raft.leader) return 'noLeader';
        asked.push(context);
        return undefined;
      },
    },
    clock,
    timeoutMs: 7000,
    applied,
    contextOrigin: 0,
    counts,
  });
  const done: string[] = [];
  const read = (name: string): void => {
    gate.add((_context, error: EtcdError | undefined) => {
      done.push(error === undefined ? name : `${name} ${error.reason}`);
    }, undefined);
  };
  return { clock, asked, raft, gate, done, read, counts };
}

describe('the read gate', () => {
  it('lets all reads of a turn share one confirmation', () => {
    const { asked, gate, done, read } = setup();
    read('a');
    read('b');
    gate.submit();
    gate.submit();
    expect(asked).toEqual([1]);
    gate.confirmed({ context: 1, index: 10 });
    expect(done).toEqual(['a', 'b']);
  });

  it('lets no confirmation serve a read that came after it was asked for (R-7)', () => {
    const { gate, done, read } = setup();
    read('early');
    gate.submit();
    read('late');
    gate.confirmed({ context: 1, index: 10 });
    expect(done).toEqual(['early']);
    gate.submit();
    gate.confirmed({ context: 2, index: 10 });
    expect(done).toEqual(['early', 'late']);
  });

  it('asks the next leader at once, and believes no late answer of the one before (R-8)', () => {
    const { asked, raft, gate, done, read } = setup();
    gate.follow(2n, 1);
    read('asked');
    gate.submit();
    raft.leader = false;
    gate.follow(0n, 1);
    read('not asked');
    gate.submit();
    expect(asked).toEqual([1]);
    raft.leader = true;
    gate.follow(3n, 2);
    gate.follow(3n, 2);
    expect(asked).toEqual([1, 3, 4]);
    gate.confirmed({ context: 1, index: 10 });
    expect(done).toEqual([]);
    for (const context of [3, 4]) gate.confirmed({ context, index: 10 });
    expect(done).toEqual(['asked', 'not asked']);
  });

  it('waits until the confirmed index is applied', () => {
    const { gate, done, read } = setup();
    read('a');
    gate.submit();
    gate.confirmed({ context: 1, index: 12 });
    gate.applied(11);
    expect(done).toEqual([]);
    gate.applied(12);
    expect(done).toEqual(['a']);
  });

  it('asks again under a new context, and an answer to the old one confirms nothing (L-15)', async () => {
    const { clock, asked, gate, done, read } = setup();
    read('a');
    gate.submit();
    await clock.run(600);
    gate.expire('TIMEOUT');
    expect(asked).toEqual([1, 2]);
    gate.confirmed({ context: 1, index: 10 });
    expect(done).toEqual([]);
    gate.confirmed({ context: 2, index: 10 });
    gate.confirmed({ context: 2, index: 10 });
    expect(done).toEqual(['a']);
  });

  it('waits for a leader, then gives up with the time of the read, not of the last question', async () => {
    const { clock, raft, gate, done, read, counts } = setup();
    raft.leader = false;
    read('a');
    gate.submit();
    await clock.run(6900);
    gate.expire('TIMEOUT');
    expect(done).toEqual([]);
    await clock.run(7000);
    gate.expire('TIMEOUT');
    expect(done).toEqual(['a TIMEOUT']);
    expect(counts).toMatchObject({ slowReadIndexes: 0, readIndexesFailed: 1 });
  });

  it('counts rounds that no answer came for, and answers that came too late', async () => {
    const { clock, gate, done, read, counts } = setup();
    read('a');
    read('b');
    gate.submit();
    await clock.run(7_001);
    gate.expire('TIMEOUT');
    expect(done).toEqual(['a TIMEOUT', 'b TIMEOUT']);
    expect(counts).toMatchObject({ slowReadIndexes: 1, readIndexesFailed: 0 });
    gate.confirmed({ context: 1, index: 10 });
    expect(counts).toMatchObject({ slowReadIndexes: 2, readIndexesFailed: 0 });
  });

  it('says so if the index is confirmed but never applied, and ends everything on a stop', async () => {
    const { clock, gate, done, read } = setup();
    read('slow');
    gate.submit();
    gate.confirmed({ context: 1, index: 99 });
    await clock.run(7001);
    gate.expire('TIMEOUT');
    expect(done).toEqual(['slow TIMEOUT_APPLY']);
    read('asked');
    gate.submit();
    read('gathering');
    gate.failAll('STOPPED');
    expect(done.slice(1)).toEqual(['asked STOPPED', 'gathering STOPPED']);
  });

  it('holds so many reads and no more, and has room again when they end', async () => {
    const { clock, asked, gate, done, read, raft } = setup();
    raft.leader = false;
    for (let i = 0; i < readsWaitingMax; i += 1) read('x');
    read('one too many');
    expect(done).toEqual(['one too many TOO_MANY_REQUESTS']);
    gate.submit();
    read('still');
    expect(done).toHaveLength(2);
    await clock.run(7001);
    gate.expire('TIMEOUT');
    expect(gate.waiting).toBe(0);
    const ends: Array<string | undefined> = [];
    const large = (bytes: number): void =>
      gate.add((_context, error) => ends.push(error?.reason), undefined, bytes);
    large(readsWaitingBytesMax);
    large(1);
    expect(ends).toEqual(['TOO_MANY_REQUESTS']);
    gate.failAll('STOPPED');
    expect(ends).toEqual(['TOO_MANY_REQUESTS', 'STOPPED']);
    large(readsWaitingBytesMax);
    expect(ends).toHaveLength(2);
    raft.leader = true;
    gate.submit();
    expect(gate.waiting).toBe(1);
    gate.confirmed({ context: asked.at(-1) ?? 0, index: 10 });
    expect([ends, gate.waiting]).toEqual([['TOO_MANY_REQUESTS', 'STOPPED', undefined], 0]);
  });
});
