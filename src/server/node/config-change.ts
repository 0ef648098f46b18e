/**
 * Applies the entries that change who is a member. Each is checked once more, against the members
 * as they are now: between its proposal and here another change may have been applied. One that is
 * not possible any more changes nothing, on every member alike, and Raft is not told of it.
 */

import { assert, EtcdError, type MemberId } from '../../common/index.js';
import {
  type ConfigChange,
  changeConfiguration,
  decodeConfigChange,
  type Entry,
  type Raft,
} from '../../raft/index.js';
import type { MvccStore } from '../../storage/index.js';
import { EntryKind, entryBody, entryKind, entryOrigin, entrySequence } from '../entry/index.js';
import {
  configChangeSteps,
  decodeMemberChange,
  type MemberChange,
  type Membership,
} from '../membership/index.js';
import type { Proposals } from './proposals.js';

export interface MemberApplyOptions {
  readonly self: MemberId;
  readonly store: Pick<MvccStore, 'applied' | 'begin' | 'setApplied'>;
  readonly raft: Pick<Raft, 'applyConfigChange'>;
  readonly membership: Membership;
  readonly proposals: Pick<Proposals, 'take'>;
  /** This member was removed: it should go on for a few election timeouts, then stop. */
  readonly onRemovedSelf: () => void;
}

/** Applies an entry of type 'configChange'. */
export function applyConfigChange(options: MemberApplyOptions, entry: Entry): void {
  const { raft, store } = options;
  const { index, term } = entry;
  const change = decodeConfigChange(entry.data);
  if (change.steps.length === 0) {
    // Raft leaves a joint configuration by itself; nothing of it concerns the members.
    store.setApplied({ index, term, configuration: raft.applyConfigChange(change) });
    return;
  }
  const { context } = change;
  const kind = entryKind(context, index);
  assert(kind === EntryKind.memberChange, 'the context of a configuration change');
  const memberChange = decodeMemberChange(entryBody(context));
  assert(isSame(change, memberChange), 'a member change does to Raft what it says');
  const pending = options.proposals.take(entryOrigin(context), entrySequence(context));
  let error: EtcdError | undefined;
  try {
    applyChange(options, entry, change, memberChange);
  } catch (thrown) {
    if (!(thrown instanceof EtcdError)) throw thrown;
    error = thrown;
    store.setApplied({ index, term });
  }
  pending?.finish(error, error === undefined ? memberChange : undefined);
  if (error !== undefined) return;
  if (memberChange.type === 'remove' && memberChange.id === options.self) options.onRemovedSelf();
}

/** Throws an EtcdError, before anything has changed. */
function applyChange(
  { membership, raft, store }: MemberApplyOptions,
  { index, term }: Entry,
  change: ConfigChange,
  memberChange: MemberChange,
): void {
  const refusal = membership.refusal(memberChange);
  if (refusal !== undefined) throw new EtcdError(refusal);
  if (changeConfiguration(store.applied.configuration, change) === undefined) {
    // It would leave no voter.
    throw new EtcdError('NOT_ENOUGH_STARTED');
  }
  const txn = store.begin(index, term);
  membership.applyChange(txn, memberChange);
  txn.commit();
  store.setApplied({ index, term, configuration: raft.applyConfigChange(change) });
}

function isSame({ steps }: ConfigChange, memberChange: MemberChange): boolean {
  const expected = configChangeSteps(memberChange);
  return (
    steps.length === expected.length &&
    steps.every(({ type, member }, i) => {
      return type === expected[i]?.type && member === expected[i]?.member;
    })
  );
}
