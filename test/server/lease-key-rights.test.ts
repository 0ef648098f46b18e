/** Who may attach keys to a lease: what is remembered of it never changes what comes out. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ErrorReason, runSteps, Slice } from '../../src/common/index.js';
import { LeaseKeyRights } from '../../src/server/lease/key-rights.js';
import { SimClock } from '../../src/sim/index.js';
import { KeyLeases } from '../../src/storage/mvcc/key-leases.js';
import { FakePermissions } from '../helpers/permissions.js';

class Fixture {
  readonly clock = new SimClock();
  readonly permissions = new FakePermissions();
  readonly leases = new KeyLeases();
  readonly rights = new LeaseKeyRights({
    permissions: this.permissions,
    clock: this.clock,
    keys: {
      keysOf: (id) => this.leases.keysOf(id),
      lease: (key) => this.leases.get(key) ?? 0n,
    },
  });

  attach(key: string, id: bigint): void {
    this.leases.set(key, id);
    this.rights.attached(id, key);
  }

  /** As at apply. */
  ask(name: string, id: bigint): ErrorReason | undefined {
    const slice = new Slice(this.clock, 'apply');
    const found = runSteps(this.rights.writeRefusal(this.permissions.as(name), id, slice));
    expect(found).not.toBeInstanceOf(Promise);
    return found as ErrorReason | undefined;
  }

  expected(name: string, id: bigint): ErrorReason | undefined {
    if (this.permissions.roots.has(name)) return undefined;
    for (const key of this.leases.keysOf(id)) {
      if (!this.permissions.granted.has(`${name} ${key}`)) return 'PERMISSION_DENIED';
    }
    return undefined;
  }
}

const keys = Array.from({ length: 100 }, (_, i) => `k${i}`);
const users = ['ann', 'bob', 'root'];
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ type: fc.constant('attach'), key: fc.constantFrom(...keys) }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('move'), key: fc.constantFrom(...keys) }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('delete'), key: fc.constantFrom(...keys) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('grant'), key: fc.constantFrom(...keys) }),
  },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('ask'), key: fc.constantFrom(...users) }) },
);

describe('the right to all keys of a lease', () => {
  it('is what looking at every key gives, whatever was asked before', () => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 50, maxLength: 300 }), (actions) => {
        const fixture = new Fixture();
        const { permissions, leases } = fixture;
        permissions.roots.add('root');
        for (const key of keys) permissions.grant('ann', key);
        for (const key of keys.slice(1)) permissions.grant('bob', key);
        for (const key of keys.slice(1, 90)) fixture.attach(key, 7n);
        for (const { type, key } of actions) {
          if (type === 'attach') fixture.attach(key, 7n);
          else if (type === 'move') fixture.attach(key, 8n);
          else if (type === 'delete') leases.delete(key);
          else if (type === 'grant') {
            // A change of permissions is another revision, as in the store.
            permissions.revision += 1;
            const right = `ann ${key}`;
            if (!permissions.granted.delete(right)) permissions.granted.add(right);
          } else expect(fixture.ask(key, 7n)).toBe(fixture.expected(key, 7n));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('is not looked up key by key each time that a lease with very many is named', () => {
    const fixture = new Fixture();
    const { permissions } = fixture;
    for (let i = 0; i < 100_000; i += 1) {
      permissions.grant('ann', `many${i}`);
      fixture.attach(`many${i}`, 7n);
    }
    const slice = new Slice(fixture.clock, 'apply');
    const first = runSteps(fixture.rights.writeRefusal(permissions.as('ann'), 7n, slice));
    expect(first).toBeInstanceOf(Promise);
  });

  it('is remembered, for those who may and for those who may not', async () => {
    const fixture = new Fixture();
    const { permissions } = fixture;
    for (let i = 0; i < 1000; i += 1) {
      permissions.grant('ann', `many${i}`);
      if (i !== 999) permissions.grant('bob', `many${i}`);
      fixture.attach(`many${i}`, 7n);
    }
    expect(fixture.ask('ann', 7n)).toBeUndefined();
    expect(fixture.ask('bob', 7n)).toBe('PERMISSION_DENIED');
    permissions.asked = 0;
    for (let i = 0; i < 1000; i += 1) {
      expect(fixture.ask('ann', 7n)).toBeUndefined();
      expect(fixture.ask('bob', 7n)).toBe('PERMISSION_DENIED');
      permissions.grant('ann', `more${i}`);
      fixture.attach(`more${i}`, 7n);
    }
    // Each key that comes is looked at once for who may: the others are not looked at again.
    expect(permissions.asked).toBe(1000);
    // The one that bob may not write leaves: now he is stopped by others.
    fixture.leases.delete('many999');
    expect(fixture.ask('bob', 7n)).toBe('PERMISSION_DENIED');
    // Old credentials are told so, whatever is remembered of their user.
    permissions.revision += 1;
    const old = { ...permissions.as('ann'), authRevision: permissions.revision - 1 };
    expect(await fixture.rights.askWrite(old, 7n)).toBe('AUTH_OLD_REVISION');
  });
});
