/** Membership arithmetic (thesis chapter 4) and the bytes that a change has in the log. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InvariantError } from '../../src/common/index.js';
import {
  type ConfigChange,
  type Configuration,
  changeConfiguration,
  configurationOf,
  decodeConfigChange,
  encodeConfigChange,
  isJoint,
  leaveJointChange,
  membersOf,
  parseConfigChange,
} from '../../src/raft/index.js';
import { addLearner, addVoter, change, remove } from './support/cluster.js';

const member = fc.bigInt({ min: 1n, max: 7n });
const step = fc.record({
  type: fc.constantFrom('addVoter' as const, 'addLearner' as const, 'remove' as const),
  member,
});
const transition = fc.constantFrom(
  'auto' as const,
  'jointImplicit' as const,
  'jointExplicit' as const,
);
const changes: fc.Arbitrary<ConfigChange> = fc.record({
  steps: fc.array(step, { maxLength: 4 }),
  transition,
  context: fc.uint8Array({ maxLength: 5 }),
});

function expectWellFormed(c: Configuration): void {
  const { voters, votersOutgoing, learners, learnersNext } = c;
  for (const list of [voters, votersOutgoing, learners, learnersNext]) {
    expect(new Set(list).size).toBe(list.length);
    expect([...list].sort()).toEqual(list);
  }
  expect(voters.length).toBeGreaterThan(0);
  for (const id of learners) {
    expect(voters.includes(id) || votersOutgoing.includes(id)).toBe(false);
  }
  for (const id of learnersNext) {
    expect(votersOutgoing.includes(id) && !voters.includes(id)).toBe(true);
  }
  if (!isJoint(c)) {
    expect(learnersNext).toEqual([]);
    expect(c.autoLeave).toBe(false);
  }
}

/** Who differs in being a voter. */
function voterDifference(a: readonly bigint[], b: readonly bigint[]): bigint[] {
  return [...new Set([...a, ...b])].filter((id) => a.includes(id) !== b.includes(id));
}

describe('changeConfiguration', () => {
  test('keeps every configuration well formed, whatever is asked', () => {
    fc.assert(
      fc.property(fc.array(changes, { maxLength: 12 }), (list) => {
        let current = configurationOf([1n, 2n, 3n]);
        for (const one of list) {
          const next = changeConfiguration(current, one);
          if (next === undefined) continue;
          expectWellFormed(next);
          current = next;
        }
      }),
      { numRuns: 500 },
    );
  });

  test('without a joint configuration at most one voter differs', () => {
    fc.assert(
      fc.property(fc.array(changes, { maxLength: 12 }), (list) => {
        let current = configurationOf([1n, 2n, 3n]);
        for (const one of list) {
          const next = changeConfiguration(current, one);
          if (next === undefined) continue;
          if (!isJoint(current) && !isJoint(next)) {
            expect(voterDifference(current.voters, next.voters).length).toBeLessThanOrEqual(1);
          }
          if (!isJoint(current) && isJoint(next)) {
            expect(next.votersOutgoing).toEqual(current.voters);
          }
          if (isJoint(current)) {
            expect(one.steps).toEqual([]);
            expect(next.voters).toEqual(current.voters);
          }
          current = next;
        }
      }),
      { numRuns: 500 },
    );
  });

  test('through a joint configuration the same members come out as steps one by one', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 5 }), (steps) => {
        const start = configurationOf([1n, 2n, 3n]);
        const joint = changeConfiguration(start, change(steps, 'jointExplicit'));
        let single: Configuration | undefined = start;
        for (const one of steps) single = single && changeConfiguration(single, change([one]));
        fc.pre(joint !== undefined && single !== undefined);
        const left = joint && changeConfiguration(joint, leaveJointChange);
        expect(left).toEqual(single);
      }),
      { numRuns: 500 },
    );
  });

  test('a voter that becomes a learner keeps its outgoing vote until the joint phase ends', () => {
    const joint = changeConfiguration(
      configurationOf([1n, 2n, 3n]),
      change([addLearner(3n), addVoter(4n)]),
    );
    expect(joint).toEqual({
      voters: [1n, 2n, 4n],
      votersOutgoing: [1n, 2n, 3n],
      learners: [],
      learnersNext: [3n],
      autoLeave: true,
    });
    expect(joint && changeConfiguration(joint, leaveJointChange)).toEqual({
      voters: [1n, 2n, 4n],
      votersOutgoing: [],
      learners: [3n],
      learnersNext: [],
      autoLeave: false,
    });
  });

  test('refuses to remove the last voter, to nest, and to leave what was not entered', () => {
    const one = configurationOf([1n]);
    expect(changeConfiguration(one, change([remove(1n)]))).toBeUndefined();
    expect(changeConfiguration(one, change([addLearner(1n)]))).toBeUndefined();
    expect(changeConfiguration(one, leaveJointChange)).toBeUndefined();
    const joint = changeConfiguration(one, change([addVoter(2n), addVoter(3n)]));
    expect(joint && changeConfiguration(joint, change([addVoter(4n)]))).toBeUndefined();
  });

  test('autoLeave follows the transition', () => {
    const start = configurationOf([1n, 2n]);
    const autoLeave = (c: ConfigChange): boolean | undefined =>
      changeConfiguration(start, c)?.autoLeave;
    expect(autoLeave(change([addVoter(3n)]))).toBe(false);
    expect(autoLeave(change([addVoter(3n)], 'jointImplicit'))).toBe(true);
    expect(autoLeave(change([addVoter(3n)], 'jointExplicit'))).toBe(false);
    expect(autoLeave(change([addVoter(3n), remove(1n)]))).toBe(true);
    expect(autoLeave(change([addVoter(3n), remove(1n)], 'jointExplicit'))).toBe(false);
  });

  test('membersOf lists everybody once', () => {
    const joint = changeConfiguration(
      configurationOf([1n, 2n, 3n]),
      change([addLearner(9n), remove(2n), addVoter(12n)]),
    );
    expect(joint && membersOf(joint)).toEqual([1n, 2n, 3n, 9n, 12n]);
  });
});

describe('codec', () => {
  test('every change comes back as it was', () => {
    const wide = fc.record({
      steps: fc.array(
        fc.record({
          type: step.map((s) => s.type),
          member: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        }),
      ),
      transition,
      context: fc.uint8Array(),
    });
    fc.assert(
      fc.property(wide, (one) => {
        expect(decodeConfigChange(encodeConfigChange(one))).toEqual(one);
      }),
    );
  });

  test('version 1 has these bytes', () => {
    const bytes = encodeConfigChange({
      steps: [addLearner(0x0102030405060708n)],
      transition: 'jointExplicit',
      context: Uint8Array.of(9),
    });
    expect([...bytes]).toEqual([1, 2, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('whatever is not a change is not taken for one', () => {
    const good = encodeConfigChange(change([addVoter(3n)]));
    for (let length = 0; length < good.length; length += 1) {
      expect(parseConfigChange(good.subarray(0, length))).toBeUndefined();
    }
    for (const [at, value] of [
      [0, 2],
      [1, 3],
      [4, 3],
    ] as const) {
      const bad = good.slice();
      bad[at] = value;
      expect(parseConfigChange(bad)).toBeUndefined();
      expect(() => decodeConfigChange(bad)).toThrow(InvariantError);
    }
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void parseConfigChange(bytes)));
  });
});
