/** Quorum arithmetic against brute force, all sizes 0 to 7, simple and joint. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Configuration, emptyConfiguration } from '../../src/raft/index.js';
import { quorumOf, quorumValue, voteResult } from '../../src/raft/quorum.js';

const ids = fc.uniqueArray(fc.bigInt({ min: 1n, max: 9n }), { maxLength: 7 });
const configurations = fc
  .record({ voters: ids, votersOutgoing: fc.oneof(fc.constant([]), ids) })
  .map((half): Configuration => ({ ...emptyConfiguration, ...half }));

/** All subsets of `members` that are more than half of them. */
function majorities(members: readonly bigint[]): bigint[][] {
  const sets: bigint[][] = [];
  for (let mask = 0; mask < 1 << members.length; mask += 1) {
    const set = members.filter((_, i) => (mask >> i) % 2 === 1);
    if (set.length * 2 > members.length) sets.push(set);
  }
  return sets;
}

test('quorumOf is the smallest number that two disjoint sets can not both have', () => {
  for (let size = 1; size <= 9; size += 1) {
    expect(2 * quorumOf(size)).toBeGreaterThan(size);
    expect(2 * (quorumOf(size) - 1)).toBeLessThanOrEqual(size);
  }
});

test('quorumValue is the largest value that some majority has reached, of both halves', () => {
  const values = fc.dictionary(fc.constantFrom(...'123456789'), fc.nat(12));
  fc.assert(
    fc.property(configurations, values, (configuration, reached) => {
      const reachedBy = (member: bigint): number => reached[`${member}`] ?? 0;
      const best = (members: readonly bigint[]): number =>
        members.length === 0
          ? Number.POSITIVE_INFINITY
          : Math.max(...majorities(members).map((set) => Math.min(...set.map(reachedBy))));
      const { voters, votersOutgoing } = configuration;
      expect(quorumValue(configuration, reachedBy)).toBe(
        Math.min(best(voters), best(votersOutgoing)),
      );
    }),
    { numRuns: 2000 },
  );
});

test('quorumValue takes infinity for a member that is always there', () => {
  const configuration = { ...emptyConfiguration, voters: [1n, 2n, 3n, 4n] };
  const reachedBy = (member: bigint): number => (member < 3n ? Number.POSITIVE_INFINITY : 4);
  expect(quorumValue(configuration, reachedBy)).toBe(4);
});

test('voteResult is won with both majorities, lost when one can not be had any more', () => {
  const votes = fc.dictionary(fc.constantFrom(...'123456789'), fc.boolean());
  fc.assert(
    fc.property(configurations, votes, (configuration, cast) => {
      const received = new Map(Object.entries(cast).map(([id, vote]) => [BigInt(id), vote]));
      const halves = [configuration.voters, configuration.votersOutgoing].filter(
        (half) => half.length > 0,
      );
      const someMajority = (half: readonly bigint[], accept: (id: bigint) => boolean): boolean =>
        majorities(half).some((set) => set.every(accept));
      const won = halves.every((half) => someMajority(half, (id) => received.get(id) === true));
      const open = halves.every((half) => someMajority(half, (id) => received.get(id) !== false));
      expect(voteResult(configuration, received)).toBe(won ? 'won' : open ? 'pending' : 'lost');
    }),
    { numRuns: 2000 },
  );
});

test('two quorums of a joint configuration with either half always share a member', () => {
  fc.assert(
    fc.property(ids, ids, fc.infiniteStream(fc.boolean()), (voters, votersOutgoing, stream) => {
      fc.pre(voters.length > 0 && votersOutgoing.length > 0);
      const all = [...new Set([...voters, ...votersOutgoing])];
      const side = new Map(all.map((id) => [id, stream.next().value === true]));
      const joint = { ...emptyConfiguration, voters, votersOutgoing };
      const wins = (configuration: Configuration, of: boolean): boolean => {
        const votes = new Map(all.map((id) => [id, side.get(id) === of]));
        return voteResult(configuration, votes) === 'won';
      };
      for (const half of [voters, votersOutgoing]) {
        const simple = { ...emptyConfiguration, voters: half };
        expect(wins(joint, true) && wins(simple, false)).toBe(false);
      }
    }),
    { numRuns: 1000 },
  );
});
