import { describe, expect, it } from 'vitest';
import { EtcdError, type MemberId } from '../../src/common/index.js';
import {
  type ConfigChange,
  type ConfigChangeStep,
  type Configuration,
  changeConfiguration,
  configurationOf,
  encodeConfigChange,
  leaveJointChange,
} from '../../src/raft/index.js';
import { EntryKind, newEntry, stampEntry } from '../../src/server/entry/index.js';
import { configChangeSteps, encodeMemberChange } from '../../src/server/membership/codec.js';
import { type MemberChange, Membership } from '../../src/server/membership/index.js';
import { applyConfigChange } from '../../src/server/node/config-change.js';
import type { MvccStore } from '../../src/storage/index.js';

const origin = 77;

/** A member of three whose Raft is its arithmetic only. */
class Applying {
  readonly records = new Map<string, Uint8Array>();
  readonly membership = new Membership();
  readonly finished: Array<string | undefined> = [];
  removedSelf = 0;
  raft: Configuration = configurationOf([1n, 2n, 3n]);
  applied = { index: 1, term: 1, configuration: this.raft };
  #txns = 0;

  constructor() {
    const members = [1n, 2n, 3n].map((id) => ({
      id,
      name: `n${id}`,
      peerUrls: [`http://${id}`],
      clientUrls: [],
      isLearner: false,
      incarnation: 0n,
    }));
    this.membership.restore({ metaEntries: () => [] }, members);
  }

  apply(change: ConfigChange): void {
    const index = this.applied.index + 1;
    const store = {
      applied: this.applied,
      begin: () => {
        this.#txns++;
        return {
          setMeta: (name: string, value: Uint8Array | undefined) => {
            if (value === undefined) this.records.delete(name);
            else this.records.set(name, value);
          },
          commit: () => this.#txns--,
        };
      },
      setApplied: (mark: typeof this.applied) => {
        this.applied = { ...this.applied, ...mark };
      },
    };
    applyConfigChange(
      {
        self: 1n,
        store: store as unknown as MvccStore,
        raft: {
          applyConfigChange: (one) => {
            this.raft = changeConfiguration(this.raft, one) ?? this.raft;
            return this.raft;
          },
        },
        membership: this.membership,
        proposals: {
          take: (from, sequence) =>
            from !== origin || sequence !== 5
              ? undefined
              : ({
                  finish: (error: Error | undefined) =>
                    this.finished.push(error instanceof EtcdError ? error.reason : undefined),
                } as never),
        },
        onRemovedSelf: () => this.removedSelf++,
      },
      { index, term: 1, type: 'configChange', data: encodeConfigChange(change) },
    );
    expect(this.applied.index).toBe(index);
    expect(this.applied.configuration).toEqual(this.raft);
    expect(this.#txns).toBe(0);
  }

  change(change: MemberChange, steps: readonly ConfigChangeStep[] = configChangeSteps(change)) {
    const context = newEntry(EntryKind.memberChange, encodeMemberChange(change));
    stampEntry(context, origin, 5);
    this.apply({ steps, transition: 'auto', context });
    return this.finished.pop();
  }

  ids(): MemberId[] {
    return this.membership.list().map(({ id }) => id);
  }
}

const add = (id: MemberId, isLearner = false): MemberChange => {
  return { type: 'add', id, peerUrls: [`http://${id}`], isLearner, learnersMax: 1 };
};

describe('an applied change of the members', () => {
  it('changes Raft, the records and the applied mark together, and ends the call', () => {
    const member = new Applying();
    expect(member.change(add(4n, true))).toBeUndefined();
    expect(member.raft).toMatchObject({ voters: [1n, 2n, 3n], learners: [4n] });
    expect(member.change({ type: 'promote', id: 4n })).toBeUndefined();
    expect(member.raft).toMatchObject({ voters: [1n, 2n, 3n, 4n], learners: [] });
    expect(member.change({ type: 'remove', id: 2n })).toBeUndefined();
    expect(member.raft.voters).toEqual([1n, 3n, 4n]);
    expect(member.ids()).toEqual([1n, 3n, 4n]);
    expect([...member.records.keys()].sort()).toEqual([
      'member/0000000000000004',
      'removedMember/0000000000000002',
    ]);
  });

  it('changes nothing if it is not possible any more, and says why (R-22)', () => {
    const member = new Applying();
    expect(member.change({ type: 'remove', id: 2n })).toBeUndefined();
    const { raft } = member;
    expect(member.change({ type: 'remove', id: 2n })).toBe('MEMBER_NOT_FOUND');
    expect(member.change(add(2n))).toBe('MEMBER_NOT_FOUND');
    expect(member.change(add(3n))).toBe('MEMBER_EXISTS');
    expect(member.change({ type: 'promote', id: 3n })).toBe('MEMBER_NOT_LEARNER');
    expect(member.raft).toBe(raft);
    expect(member.ids()).toEqual([1n, 3n]);
  });

  it('never leaves a cluster without a voter', () => {
    const member = new Applying();
    for (const id of [2n, 3n]) expect(member.change({ type: 'remove', id })).toBeUndefined();
    expect(member.change({ type: 'remove', id: 1n })).toBe('NOT_ENOUGH_STARTED');
    expect(member.ids()).toEqual([1n]);
    expect(member.removedSelf).toBe(0);
  });

  it('tells a member that it was removed itself (R-27)', () => {
    const member = new Applying();
    member.change({ type: 'remove', id: 2n });
    expect(member.removedSelf).toBe(0);
    member.change({ type: 'remove', id: 1n });
    expect(member.removedSelf).toBe(1);
    expect(member.membership.isRemoved(1n)).toBe(true);
  });

  it('leaves a joint configuration without touching the members', () => {
    const member = new Applying();
    const joint = { ...configurationOf([1n, 2n]), votersOutgoing: [1n, 2n, 3n], autoLeave: true };
    member.raft = joint;
    member.applied = { ...member.applied, configuration: joint };
    member.apply(leaveJointChange);
    expect(member.raft).toEqual(configurationOf([1n, 2n]));
    expect(member.ids()).toEqual([1n, 2n, 3n]);
  });

  it('stops the member if what Raft would do is not what the change says', () => {
    const member = new Applying();
    const steps = [{ type: 'remove', member: 3n }] as const;
    expect(() => member.change({ type: 'remove', id: 2n }, steps)).toThrow(/does to Raft/);
  });
});
