/** Users, roles and permissions as replicated state: what is refused, what counts as one (L-23). */

import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type Caller,
  EtcdError,
  grantsAtOnceMax,
  mvccSliceKeysMax,
  nobody,
  runSteps,
  Slice,
  silentLogger,
} from '../../src/common/index.js';
import { AuthState, MemberAccess, noTokens } from '../../src/server/access/index.js';
import { SimClock, SimRandom } from '../../src/sim/index.js';
import type { ServerCall } from '../../src/transport/index.js';
import { atOnce } from '../helpers/lessor.js';

class Records {
  readonly meta = new Map<string, Buffer>();

  setMeta(name: string, value: Uint8Array | undefined): void {
    if (value === undefined) this.meta.delete(name);
    else this.meta.set(name, Buffer.from(value));
  }

  metaEntries(prefix: string): Array<readonly [string, Buffer]> {
    const entries = [...this.meta].filter(([name]) => name.startsWith(prefix));
    return entries.sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

const clock = new SimClock({ random: new SimRandom(1) });
let records: Records;
let state: AuthState;

beforeEach(() => {
  records = new Records();
  state = new AuthState(clock);
});

function reason(change: () => unknown): string {
  try {
    change();
  } catch (error) {
    if (error instanceof EtcdError) return error.reason;
    throw error;
  }
  return 'done';
}

const user = (name: string, more: object = {}) => ({ name, hash: 'h', noPassword: false, ...more });
const read = (key: string, rangeEnd = '') => ({ type: 0, key, rangeEnd });

async function remove(kind: 'User' | 'Role', name: string): Promise<void> {
  const slice = new Slice(clock, 'apply');
  if (kind === 'User') {
    state.checkRemoveUser(name);
    await runSteps(state.removeUser(records, name, slice));
  } else {
    state.checkRemoveRole(name);
    await runSteps(state.removeRole(records, name, slice));
  }
}

/** All that can be seen. */
function view(of: AuthState): object {
  return {
    isEnabled: of.isEnabled,
    revision: of.revision,
    users: of.userNames.map((name) => ({ ...of.user(name) })),
    roles: of.roleNames.map((name) => [name, of.permissions(name)]),
    sum: of.sum,
  };
}

function restored(): AuthState {
  const other = new AuthState(clock);
  atOnce(other.restore(records, new Slice(clock)))();
  return other;
}

function enabled(): AuthState {
  state.addUser(records, user('root'));
  state.grantRole(records, 'root', 'root');
  state.enable(records);
  return state;
}

describe('users and roles', () => {
  it('are read in slices where there are very many, while the present ones count', async () => {
    state.addRole(records, 'r');
    const count = 2 * mvccSliceKeysMax;
    for (let i = 0; i < count; i++) state.grantPermission(records, 'r', read(`${i}`));
    const other = new AuthState(clock);
    other.addUser(new Records(), user('present'));
    const reading = runSteps(other.restore(records, new Slice(clock)));
    if (!(reading instanceof Promise)) throw new Error('they are read in one piece');
    let take: (() => void) | undefined;
    void reading.then((found) => (take = found));
    while (take === undefined) await clock.run(clock.nowMs() + 1);
    expect(other.userNames).toEqual(['present']);
    take();
    expect(view(other)).toEqual(view(state));
  });

  it('begin at revision 1, and each change adds one, but for enabling', async () => {
    const revisions: number[] = [];
    const note = (change: () => unknown): void => {
      change();
      revisions.push(state.revision);
    };
    expect(state.revision).toBe(1);
    note(() => state.addUser(records, user('root')));
    note(() => state.grantRole(records, 'root', 'root'));
    note(() => expect(state.grantRole(records, 'root', 'root')).toBe(false));
    note(() => state.enable(records));
    note(() => expect(state.enable(records)).toBe(false));
    note(() => state.addRole(records, 'r'));
    note(() => state.grantPermission(records, 'r', read('a')));
    note(() => state.grantPermission(records, 'r', read('a')));
    note(() => state.revokePermission(records, 'r', 'a', ''));
    note(() => state.changePassword(records, 'root', 'other'));
    note(() => state.authenticate('root'));
    await remove('Role', 'r');
    note(() => expect(state.disable(records)).toBe(true));
    note(() => expect(state.disable(records)).toBe(false));
    expect(revisions).toEqual([2, 3, 3, 3, 3, 4, 5, 6, 7, 8, 8, 10, 10]);
  });

  it('refuse with etcd’s errors, and change nothing then', () => {
    const all = () => JSON.stringify([[...records.meta], view(state)]);
    enabled();
    state.addRole(records, 'r');
    state.addUser(records, user('bare', { noPassword: true, hash: '' }));
    const known = all();
    const refused: ReadonlyArray<readonly [string, () => unknown]> = [
      ['USER_EMPTY', () => state.addUser(records, user(''))],
      ['USER_EXISTS', () => state.addUser(records, user('root'))],
      ['REQUEST_TOO_LARGE', () => state.addUser(records, user('ü'.repeat(16_385)))],
      ['ROLE_EMPTY', () => state.addRole(records, '')],
      ['ROLE_EXISTS', () => state.addRole(records, 'r')],
      ['USER_NOT_FOUND', () => state.checkRemoveUser('none')],
      ['INVALID_AUTH_MANAGEMENT', () => state.checkRemoveUser('root')],
      ['INVALID_AUTH_MANAGEMENT', () => state.checkRemoveRole('root')],
      ['ROLE_NOT_FOUND', () => state.checkRemoveRole('none')],
      ['INVALID_AUTH_MANAGEMENT', () => state.revokeRole(records, 'root', 'root')],
      ['ROLE_NOT_GRANTED', () => state.revokeRole(records, 'root', 'r')],
      ['USER_NOT_FOUND', () => state.revokeRole(records, 'none', 'r')],
      ['ROLE_NOT_FOUND', () => state.grantRole(records, 'root', 'none')],
      ['USER_NOT_FOUND', () => state.grantRole(records, 'none', 'none')],
      ['USER_NOT_FOUND', () => state.changePassword(records, 'none', '')],
      ['PERMISSION_NOT_GIVEN', () => state.grantPermission(records, 'none', undefined)],
      ['INVALID_AUTH_MANAGEMENT', () => state.grantPermission(records, 'none', read(''))],
      ['INVALID_AUTH_MANAGEMENT', () => state.grantPermission(records, 'r', read('b', 'b'))],
      ['ROLE_NOT_FOUND', () => state.grantPermission(records, 'none', read('b'))],
      ['PERMISSION_NOT_GRANTED', () => state.revokePermission(records, 'r', 'b', '')],
      ['ROLE_NOT_FOUND', () => state.revokePermission(records, 'none', 'b', '')],
      ['AUTH_FAILED', () => state.authenticate('none')],
      ['AUTH_FAILED', () => state.authenticate('bare')],
    ];
    for (const [expected, change] of refused) expect(reason(change)).toBe(expected);
    expect(all()).toBe(known);
    state.disable(records);
    expect(reason(() => state.authenticate('root'))).toBe('AUTH_NOT_ENABLED');
    expect(reason(() => state.checkRemoveUser('root'))).toBe('done');
    expect(reason(() => state.revokeRole(records, 'root', 'root'))).toBe('done');
    expect(reason(() => state.enable(records))).toBe('ROOT_ROLE_NOT_EXIST');
  });

  it('are in the order of their bytes', () => {
    // U+FF5E comes before U+1F600 in UTF-8, but not in UTF-16.
    for (const name of ['😀', '～', 'b', 'ab', 'a', 'ü']) state.addUser(records, user(name));
    expect(state.userNames).toEqual(['a', 'ab', 'b', 'ü', '～', '😀']);
    expect(restored().userNames).toEqual(state.userNames);
  });

  it('lose what is removed, everywhere', async () => {
    enabled();
    state.addRole(records, 'r');
    state.grantPermission(records, 'r', read('a'));
    for (const name of ['u', 'v']) {
      state.addUser(records, user(name));
      state.grantRole(records, name, 'r');
    }
    await remove('User', 'u');
    expect(state.user('u')).toBeUndefined();
    await remove('Role', 'r');
    expect(state.user('v')?.roles).toEqual([]);
    expect([...records.meta.keys()].filter((name) => /permission|user-role/.test(name))).toEqual([
      expect.stringContaining('auth/user-role/'),
    ]);
    // Made again, it has nothing of the old one.
    state.addRole(records, 'r');
    expect(state.permissions('r')).toEqual([]);
  });

  it('come back from their records as they were, whatever was done', async () => {
    const names = ['a', 'b', 'root', 'long/name.😀'];
    const anyName = fc.constantFrom(...names);
    const anyKey = fc.constantFrom('k', 'k\0', 'l', '\xff', '');
    const step = fc.tuple(fc.nat(9), anyName, anyName, anyKey, anyKey, fc.nat(3));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        records = new Records();
        state = new AuthState(clock);
        for (const [what, name, role, key, rangeEnd, type] of steps) {
          const changes: ReadonlyArray<() => unknown> = [
            () => state.addUser(records, user(name, { noPassword: type === 0 })),
            () => state.addRole(records, role),
            () => state.grantRole(records, name, role),
            () => state.grantPermission(records, role, { type, key, rangeEnd }),
            () => state.revokePermission(records, role, key, rangeEnd),
            () => state.revokeRole(records, name, role),
            () => state.changePassword(records, name, `${type}`),
            () => state.enable(records),
            () => state.disable(records),
          ];
          if (what === 9) await remove(type > 1 ? 'User' : 'Role', name).catch(() => {});
          else reason(changes[what] as () => unknown);
          expect(view(restored())).toEqual(view(state));
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('who may what', () => {
  const callerOf = (name: string, authRevision = state.revision): Caller => ({
    ...{ name, authRevision },
    ...{ refusal: undefined, isMember: false },
  });
  const access = (): MemberAccess =>
    new MemberAccess({ state, tokens: noTokens, byCertificate: false, logger: silentLogger });

  it('is refused in etcd’s order', () => {
    enabled();
    state.addUser(records, user('u'));
    const rights = access();
    expect(rights.readRefusal(nobody, 'a', '')).toBe('USER_EMPTY');
    expect(rights.readRefusal(callerOf('none', 1), 'a', '')).toBe('AUTH_OLD_REVISION');
    expect(rights.readRefusal(callerOf('none'), 'a', '')).toBe('PERMISSION_DENIED');
    expect(rights.readRefusal(callerOf('u'), 'a', '')).toBe('PERMISSION_DENIED');
    expect(rights.readRefusal(callerOf('root', 1), 'a', '')).toBe('AUTH_OLD_REVISION');
    expect(rights.writeRefusal(callerOf('root'), 'a', '')).toBeUndefined();
    // As in etcd, root is asked for without looking at the revision.
    expect(rights.rootRefusal(callerOf('root', 1))).toBeUndefined();
    expect(rights.rootRefusal(callerOf('u'))).toBe('PERMISSION_DENIED');
    expect(rights.rootRefusal(callerOf('none'))).toBe('USER_NOT_FOUND');
    expect(rights.rootRefusal(nobody)).toBe('USER_EMPTY');
    expect(rights.userRefusal(nobody)).toBe('USER_EMPTY');
    expect(rights.userRefusal(callerOf('u', 1))).toBeUndefined();
  });

  it('follows each change at once', async () => {
    enabled();
    state.addUser(records, user('u'));
    state.addRole(records, 'r');
    state.addRole(records, 's');
    const rights = access();
    const reads = (key: string, end = '') => rights.readRefusal(callerOf('u'), key, end);
    const writes = (key: string, end = '') => rights.writeRefusal(callerOf('u'), key, end);
    expect(reads('a')).toBe('PERMISSION_DENIED');
    state.grantPermission(records, 'r', read('a', 'c'));
    state.grantPermission(records, 's', { type: 2, key: 'c', rangeEnd: 'e' });
    expect(reads('a')).toBe('PERMISSION_DENIED');
    state.grantRole(records, 'u', 'r');
    expect([reads('a'), reads('a', 'd')]).toEqual([undefined, 'PERMISSION_DENIED']);
    state.grantRole(records, 'u', 's');
    expect([reads('a', 'e'), writes('c', 'e'), writes('a')]).toEqual([
      ...[undefined, undefined, 'PERMISSION_DENIED'],
    ]);
    state.grantPermission(records, 's', { type: 1, key: 'c', rangeEnd: 'e' });
    expect([reads('c'), writes('c')]).toEqual(['PERMISSION_DENIED', undefined]);
    state.revokePermission(records, 's', 'c', 'e');
    expect(writes('c')).toBe('PERMISSION_DENIED');
    await remove('Role', 'r');
    expect(reads('a')).toBe('PERMISSION_DENIED');
    state.grantRole(records, 'u', 'root');
    expect(writes('\0', '\0')).toBeUndefined();
    state.revokeRole(records, 'u', 'root');
    expect(writes('\0', '\0')).toBe('PERMISSION_DENIED');
  });

  it('is prepared in slices for a user with very many permissions', async () => {
    enabled();
    state.addUser(records, user('u'));
    for (let i = 0; i < 100; i++) {
      state.addRole(records, `r${i}`);
      for (let j = 0; j < 50; j++) state.grantPermission(records, `r${i}`, read(`${i * 50 + j}`));
      state.grantRole(records, 'u', `r${i}`);
    }
    const waits = state.prepare('u', 'apply');
    expect(waits).toBeInstanceOf(Promise);
    // The same work for all that wait for it.
    expect(state.prepare('u', 'apply')).toBe(waits);
    let done = false;
    void waits?.then(() => (done = true));
    for (let i = 0; !done; i++) {
      expect(i).toBeLessThan(1000);
      await clock.run(clock.nowMs() + 1);
    }
    expect(state.prepare('u', 'apply')).toBeUndefined();
    expect(access().readRefusal(callerOf('u'), '4999', '')).toBeUndefined();
    expect(access().readRefusal(callerOf('u'), '5000', '')).toBe('PERMISSION_DENIED');
    // A change in between leaves nothing old behind.
    state.changePassword(records, 'u', 'x');
    const again = state.prepare('u', 'read');
    state.revokePermission(records, 'r0', '0', '');
    let over = false;
    void again?.then(() => (over = true));
    while (!over) await clock.run(clock.nowMs() + 1);
    expect(access().readRefusal(callerOf('u'), '0', '')).toBe('PERMISSION_DENIED');
  });

  it('is prepared in slices for a stream that goes on after a change of users', async () => {
    enabled();
    state.addUser(records, user('u'));
    state.addRole(records, 'r');
    for (let i = 0; i <= grantsAtOnceMax; i++) state.grantPermission(records, 'r', read(`${i}`));
    state.grantRole(records, 'u', 'r');
    const identity = { commonName: 'u', certificateVerified: true };
    const peer = { address: '10.0.0.1:77', identity };
    const call = { method: '/m', metadata: () => undefined, peer } as unknown as ServerCall;
    const byCertificate = new MemberAccess({
      ...{ state, tokens: noTokens, byCertificate: true, logger: silentLogger },
    });
    const again = byCertificate.identifyAgain(call, undefined);
    expect(again).toBeInstanceOf(Promise);
    // Once more: who has been looked through is not known any more when that is over.
    state.changePassword(records, 'u', 'x');
    let caller: Caller | undefined;
    void Promise.resolve(again).then((found) => (caller = found));
    for (let i = 0; caller === undefined; i++) {
      expect(i).toBeLessThan(1000);
      await clock.run(clock.nowMs() + 1);
    }
    expect(caller).toMatchObject({ name: 'u', authRevision: state.revision });
    expect(state.prepare('u', 'read')).toBeUndefined();
    expect(byCertificate.identifyAgain(call, undefined)).toEqual(caller);
  });
});
