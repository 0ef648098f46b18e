import { describe, expect, it } from 'vitest';
import type { MemberId } from '../../src/common/index.js';
import { PeerAdmission } from '../../src/server/membership/admission.js';
import { Membership } from '../../src/server/membership/membership.js';
import { SimClock } from '../../src/sim/index.js';

const nowhere = { setMeta(): void {} };

function setup(removed: readonly MemberId[] = []) {
  const membership = new Membership();
  const members = [1n, 2n, 3n].map((id) => ({
    id,
    name: `n${id}`,
    peerUrls: [`http://${id}`],
    clientUrls: [],
    isLearner: false,
    incarnation: 0n,
  }));
  membership.restore({ metaEntries: () => [] }, members);
  for (const id of removed) membership.applyChange(nowhere, { type: 'remove', id });
  const clock = new SimClock();
  const admission = new PeerAdmission({
    clusterId: 7n,
    self: 1n,
    version: '0.1.0',
    membership,
    clock,
    graceMs: 300,
  });
  const admit = (memberId: MemberId, incarnation: bigint, more: object = {}, to = 1n) =>
    admission.admit({ clusterId: 7n, memberId, incarnation, version: '0.9.9', ...more }, to);
  const publish = (id: MemberId, incarnation: bigint) =>
    membership.applyAttributes(nowhere, { id, name: 'x', clientUrls: ['y'], incarnation });
  return { clock, membership, admission, admit, publish };
}

describe('admission', () => {
  it('is for members of this cluster that mean this member and speak its language', () => {
    const { admit } = setup();
    expect(admit(2n, 5n)).toBeUndefined();
    expect(admit(2n, 5n, { clusterId: 8n })).toBe('clusterIdMismatch');
    expect(admit(2n, 5n, {}, 3n)).toBe('notForThisMember');
    expect(admit(2n, 5n, { version: '1.0.0' })).toBe('incompatibleVersion');
  });

  it('is also for members that this one has not heard of yet', () => {
    const { admit } = setup();
    expect(admit(9n, 5n)).toBeUndefined();
    expect(admit(9n, 6n)).toBe('otherIncarnation');
  });

  it('ends a while after a removal, and is never given again (R-27)', async () => {
    const { clock, membership, admit } = setup();
    expect(admit(2n, 5n)).toBeUndefined();
    membership.applyChange(nowhere, { type: 'remove', id: 2n });
    await clock.run(299);
    expect(admit(2n, 5n)).toBeUndefined();
    await clock.run(300);
    expect(admit(2n, 5n)).toBe('removed');
    const restarted = setup([2n]);
    expect(restarted.admit(2n, 5n)).toBe('removed');
  });

  it('is not for a member that comes back with an empty disk (L-32, R-32)', () => {
    const { admission, admit, publish } = setup();
    publish(2n, 5n);
    expect(admit(2n, 6n)).toBe('otherIncarnation');
    expect(admit(2n, 5n)).toBeUndefined();
    // Not even if it was wiped before it could publish itself.
    expect(admit(3n, 11n)).toBeUndefined();
    expect(admission.incarnationOf(3n)).toBe(11n);
    expect(admission.members().map(({ incarnation }) => incarnation)).toEqual([0n, 5n, 11n]);
    expect(admit(3n, 12n)).toBe('otherIncarnation');
    expect(admit(3n, 11n)).toBeUndefined();
  });
});
