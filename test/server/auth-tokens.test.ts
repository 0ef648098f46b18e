/** Simple tokens and the queue of passwords, on a simulated clock (C-4). */

import { beforeEach, describe, expect, it } from 'vitest';
import {
  authTokensMax,
  type Caller,
  type ErrorReason,
  EtcdError,
  silentLogger,
  tokensWaitingMax,
} from '../../src/common/index.js';
import {
  AuthState,
  MemberAccess,
  SimpleTokens,
  sealOf,
  type Tokens,
  WorkQueue,
} from '../../src/server/access/index.js';
import { SimClock, SimRandom } from '../../src/sim/index.js';
import type { ServerCall } from '../../src/transport/index.js';

const ttlMs = 300_000;
let clock: SimClock;
let applied: number;
let revision: number;
let tokens: SimpleTokens;

beforeEach(() => {
  clock = new SimClock();
  [applied, revision] = [10, 5];
  tokens = new SimpleTokens({
    ...{ clock, ttlMs, random: new SimRandom(7), timeoutMs: 7000 },
    appliedIndex: () => applied,
    authRevision: () => revision,
  });
});

/** A call with these metadata. */
function callWith(
  metadata: Readonly<Record<string, string>> = {},
  commonName = '',
  address = '10.0.0.1:77',
): ServerCall {
  const identity = { commonName, certificateVerified: commonName !== '' };
  const call = { metadata: (key: string) => metadata[key], peer: { address, identity } };
  return { method: '/m', cancelled: false, ...call } as unknown as ServerCall;
}

function issued(user: string, index = applied): string {
  const drawn = tokens.draw();
  tokens.assign(user, sealOf(drawn), index);
  return tokens.issue(user, revision, drawn, index);
}

const who = (token: string): Caller | Promise<Caller> => tokens.identify(token, callWith());
const refusalOf = async (caller: Caller | Promise<Caller>): Promise<ErrorReason | undefined> =>
  (await caller).refusal;

describe('a simple token', () => {
  it('is sixteen letters and an index, and stands for its user as of now', () => {
    const token = issued('u');
    expect(token).toMatch(/^[a-zA-Z]{16}\.10$/);
    expect(issued('u')).not.toBe(token);
    expect(who(token)).toEqual({ ...user('u', 5) });
    revision = 9;
    expect(who(token)).toEqual({ ...user('u', 9) });
    expect(tokens.identifyAgain(token)).toEqual({ ...user('u', 9) });
  });

  const user = (name: string, authRevision: number): Caller => ({
    ...{ name, authRevision },
    ...{ refusal: undefined, isMember: false },
  });

  it('lives as long as it is used', async () => {
    const token = issued('u');
    for (let i = 0; i < 5; i++) {
      await clock.run(clock.nowMs() + ttlMs - 1);
      expect(who(token)).toMatchObject({ name: 'u' });
    }
    await clock.run(clock.nowMs() + ttlMs + 1);
    expect(await refusalOf(who(token))).toBe('INVALID_AUTH_TOKEN');
  });

  it('ends with its user’s password, and with auth', async () => {
    const [first, second] = [issued('u'), issued('v')];
    tokens.userChanged('u');
    expect(await refusalOf(who(first))).toBe('INVALID_AUTH_TOKEN');
    expect(who(second)).toMatchObject({ name: 'v' });
    tokens.reset();
    expect(await refusalOf(who(second))).toBe('INVALID_AUTH_TOKEN');
    expect(tokens.size).toBe(0);
  });

  it.each([
    '',
    'abcdefghijklmnop',
    'abcdefghijklmnop.',
    'abcdefghijklmnop.10',
    'abcdefghijklmnop.0',
    'abcdefghijklmnop.-1',
    'abcdefghijklmnop.1e9',
    'abcdefghijklmnop.2000000',
    'abcdefghijklmnop.99999999999999999999999',
    'abcdefghijklmnop.12.13',
    'abcdefghijklmnop.11 ',
    'abcdefghijklmno.11',
    'äbcdefghijklmnop.11',
    'eyJhbGciOiJub25lIn0.eyJ1c2VybmFtZSI6InJvb3QifQ.',
    '__proto__',
  ])('is not %j, which nobody waits for', (text) => {
    expect(who(text)).toMatchObject({ refusal: 'INVALID_AUTH_TOKEN', name: '' });
  });

  it('waits for its entry where that is not applied yet', async () => {
    const drawn = tokens.draw();
    const caller = who(`${drawn}.12`);
    const unknown = who('abcdefghijklmnop.12');
    let early = false;
    void (caller as Promise<Caller>).then(() => {
      early = true;
    });
    applied = 11;
    tokens.applied(11);
    await Promise.resolve();
    expect(early).toBe(false);
    applied = 12;
    tokens.assign('u', sealOf(drawn), 12);
    tokens.applied(12);
    expect(await caller).toMatchObject({ name: 'u', refusal: undefined });
    expect(await refusalOf(unknown)).toBe('INVALID_AUTH_TOKEN');
  });

  it('is waited for by a bounded number of calls, for a bounded time', async () => {
    const call = callWith();
    const waits = tokens.identify('abcdefghijklmnop.11', call);
    const gone = callWith();
    const cancelled = tokens.identify('abcdefghijklmnop.11', gone);
    gone.onCancel?.();
    expect(await refusalOf(cancelled)).toBe('REQUEST_CANCELED');
    for (let i = 1; i < tokensWaitingMax; i++) void who('abcdefghijklmnop.11');
    expect(await refusalOf(who('abcdefghijklmnop.11'))).toBe('TOO_MANY_REQUESTS');
    await clock.run(clock.nowMs() + 7001);
    expect(await refusalOf(waits)).toBe('TIMEOUT_APPLY');
    expect(call.onCancel).toBeUndefined();
    const again = who('abcdefghijklmnop.11');
    expect(again).toBeInstanceOf(Promise);
    applied = 11;
    tokens.applied(11);
    expect(await refusalOf(again)).toBe('INVALID_AUTH_TOKEN');
  });

  it('is forgotten for newer ones, if nobody has used it for longest', async () => {
    const used = issued('used');
    const idle = issued('idle');
    for (let i = 0; i < authTokensMax; i++) {
      if (i % 30_000 === 0) {
        await clock.run(clock.nowMs() + 10);
        who(used);
      }
      tokens.assign('more', `m${i}`, 10);
    }
    expect(tokens.size).toBe(authTokensMax);
    expect(await refusalOf(who(idle))).toBe('INVALID_AUTH_TOKEN');
    expect(who(used)).toMatchObject({ name: 'used' });
    // Old ones go with time, without being asked for.
    await clock.run(clock.nowMs() + ttlMs + 1);
    for (let i = 0; i < authTokensMax / 2; i++) tokens.assign('new', `n${i}`, 10);
    expect(tokens.size).toBeLessThan(authTokensMax);
  });
});

describe('who calls', () => {
  const state = new AuthState(new SimClock());
  const accessWith = (byCertificate: boolean, of: Tokens = tokens): MemberAccess =>
    new MemberAccess({ state, tokens: of, byCertificate, logger: silentLogger });

  it('is told by a token, under both names, before any certificate', async () => {
    const token = issued('u');
    const access = accessWith(true);
    const told: ReadonlyArray<readonly [Readonly<Record<string, string>>, string]> = [
      [{ token }, 'u'],
      [{ authorization: token }, 'u'],
      [{ authorization: `Bearer ${token}` }, 'u'],
      [{ token: `Bearer ${token}` }, 'u'],
      [{ token, authorization: 'wrong' }, 'u'],
      [{}, 'certified'],
    ];
    for (const [metadata, name] of told) {
      const caller = await access.identify(callWith(metadata, 'certified'));
      expect([metadata, caller.name, caller.refusal]).toEqual([metadata, name, undefined]);
    }
    for (const wrong of [`bearer ${token}`, `Basic ${token}`, '', 'wrong', `${token} `]) {
      const call = callWith({ authorization: wrong }, 'certified');
      expect(await refusalOf(access.identify(call))).toBe('INVALID_AUTH_TOKEN');
      expect(await refusalOf(access.identifyAgain(call, undefined))).toBe('INVALID_AUTH_TOKEN');
    }
  });

  it('is told by a certificate only if asked to, and never of the gateway', async () => {
    const gateway = callWith({ 'grpcgateway-accept': 'application/json' }, 'root');
    for (const [access, call] of [
      [accessWith(false), callWith({}, 'root')],
      [accessWith(true), callWith({}, '')],
      // CVE-2018-16886: the certificate would be the gateway's own.
      [accessWith(true), gateway],
    ] as const) {
      expect(await access.identify(call)).toMatchObject({ name: '', authRevision: 0 });
      expect(access.identifyAgain(call, undefined)).toMatchObject({ name: '', authRevision: 0 });
    }
    const direct = await accessWith(true).identify(callWith({}, 'root'));
    expect(direct).toMatchObject({ name: 'root', authRevision: state.revision });
  });
});

describe('passwords on their way to a thread', () => {
  const later = (ms: number) => (): Promise<number> =>
    new Promise((resolve) => clock.after(ms, () => resolve(ms)));

  it('are hashed two at a time, and addresses take turns', async () => {
    const queue = new WorkQueue({ atOnceMax: 2, waitingMax: 100, waitingPerAddressMax: 50 });
    const order: string[] = [];
    let running = 0;
    const job = (name: string, address: string): Promise<unknown> =>
      queue.run(callWith({}, '', address), async () => {
        running += 1;
        expect(running).toBeLessThanOrEqual(2);
        order.push(name);
        await later(10)();
        running -= 1;
      });
    const jobs = [];
    for (let i = 0; i < 6; i++) jobs.push(job(`a${i}`, '10.0.0.1:1'));
    for (let i = 0; i < 2; i++) jobs.push(job(`b${i}`, '10.0.0.2:1'));
    await clock.run(clock.nowMs() + 200);
    await Promise.all(jobs);
    expect(order).toEqual(['a0', 'a1', 'a2', 'b0', 'a3', 'b1', 'a4', 'a5']);
    expect(queue.size).toBe(0);
  });

  it('wait in bounded numbers, and not for calls that are over', async () => {
    const queue = new WorkQueue({ atOnceMax: 1, waitingMax: 3, waitingPerAddressMax: 2 });
    const calls = ['10.0.0.1:1', '10.0.0.1:2', '10.0.0.1:3'].map((address) =>
      callWith({}, '', address),
    ) as Array<ServerCall & { cancelled: boolean }>;
    const outcomes = calls.map((call) =>
      queue.run(call, later(10)).catch((error: EtcdError) => error.reason),
    );
    const full = queue.run(callWith({}, '', '10.0.0.1:4'), later(10));
    await expect(full).rejects.toMatchObject({ reason: 'TOO_MANY_REQUESTS' });
    const other = queue.run(callWith({}, '', '10.0.0.2:1'), later(10));
    await expect(queue.run(callWith({}, '', '10.0.0.3:1'), later(10))).rejects.toThrow(EtcdError);
    (calls[1] as { cancelled: boolean }).cancelled = true;
    await clock.run(clock.nowMs() + 100);
    expect(await Promise.all(outcomes)).toEqual([10, 'REQUEST_CANCELED', 10]);
    expect(await other).toBe(10);
  });

  it('leave room when the work fails', async () => {
    const queue = new WorkQueue({ atOnceMax: 1, waitingMax: 3, waitingPerAddressMax: 2 });
    const failing = queue.run(callWith(), () => Promise.reject(new Error('no thread')));
    await expect(failing).rejects.toThrow('no thread');
    const next = queue.run(callWith(), later(1));
    await clock.run(clock.nowMs() + 10);
    expect(await next).toBe(1);
  });
});
