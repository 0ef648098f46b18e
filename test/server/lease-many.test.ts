/** Answers about more leases, and keys of a lease, than one piece of work may handle. */

import { describe, expect, it } from 'vitest';
import { type Clock, runSteps } from '../../src/common/index.js';
import { decodeLeaseLeasesResponse, decodeLeaseTimeToLiveResponse } from '../../src/proto/index.js';
import { Lessor } from '../../src/server/lease/lessor.js';
import { LeaseListing, timeToLiveAnswer } from '../../src/server/lease/long-replies.js';
import { LeasedKeys, revokeLease } from '../helpers/lessor.js';
import { testHeaders } from './watch-helpers.js';

/** A clock on which each look takes a millisecond; counts how often others had their turn. */
class BusyClock implements Clock {
  turns = 0;
  #ms = 0;
  /** What happens in the next turn of the event loop. */
  meanwhile: (() => void) | undefined;
  nowMs = (): number => ++this.#ms;
  wallMs = (): number => this.#ms;
  /** Nothing here waits for time. */
  after = () => ({ cancel(): void {} });
  afterTurn = (fire: () => void): void => {
    setImmediate(() => {
      this.turns++;
      const { meanwhile } = this;
      this.meanwhile = undefined;
      meanwhile?.();
      fire();
    });
  };
}

const header = testHeaders.header(7, 3);
const nowhere = { setMeta(): void {} };

function lessorWith(clock: Clock, leases: number, keys = new LeasedKeys()): Lessor {
  const lessor = new Lessor({
    clock,
    keys,
    ttlSecondsMin: 2,
    checkpoints: false,
    proposeRevoke: () => {},
    proposeCheckpoints: () => {},
  });
  for (let i = 1; i <= leases; i++) lessor.applyGrant(nowhere, BigInt((i * 7919) % 10_007), 60);
  return lessor;
}

describe('LeaseLeases of thousands of leases', () => {
  const decode = (parts: readonly Uint8Array[]) => decodeLeaseLeasesResponse(Buffer.concat(parts));

  it('gives way to others, and is in the order of a short list', async () => {
    const clock = new BusyClock();
    const lessor = lessorWith(clock, 9_000);
    const listing = new LeaseListing(lessor, clock, () => header);
    const { leases, header: told } = decode(await listing.answer());
    expect(leases).toEqual(await runSteps(lessor.leases()));
    expect(told?.revision).toBe(7);
    expect(clock.turns).toBeGreaterThan(5);
  });

  it('is made once for those who ask while another is made, and leaves out what has gone', async () => {
    const clock = new BusyClock();
    const lessor = lessorWith(clock, 5_000);
    const listing = new LeaseListing(lessor, clock, () => header);
    const first = listing.answer();
    const [second, third] = [listing.answer(), listing.answer()];
    expect(second).toBe(third);
    expect(second).not.toBe(first);
    const gone = 7_919n;
    clock.meanwhile = () => void revokeLease(lessor, nowhere, gone);
    for (const list of [await first, await second]) {
      const { leases } = decode(list);
      expect(leases.includes(gone)).toBe(false);
      expect(leases).toHaveLength(4_999);
    }
    expect(await listing.answer()).not.toBe(await second);
  });
});

describe('LeaseTimeToLive of a lease with thousands of keys', () => {
  it('has them all, in order, and gives way to others', async () => {
    const clock = new BusyClock();
    const attached = new LeasedKeys();
    const lessor = lessorWith(clock, 1, attached);
    const names = Array.from({ length: 9_000 }, (_, i) => `key${(i * 7919) % 10_007}`);
    for (const name of names) attached.attach(name, 7_919n);
    const keys = (await runSteps(lessor.keysOf(7_919n))) ?? [];
    expect(keys).toEqual([...names].sort());
    const { turns } = clock;
    expect(turns).toBeGreaterThan(5);
    const info = { ttlSeconds: 59, grantedTtlSeconds: 60, keys };
    const parts = await timeToLiveAnswer(clock, header, 7_919n, info);
    const answer = decodeLeaseTimeToLiveResponse(Buffer.concat(parts));
    expect(answer).toMatchObject({ id: 7_919n, ttlSeconds: 59, grantedTtlSeconds: 60, keys });
    expect(answer.header?.revision).toBe(7);
    expect(clock.turns).toBeGreaterThan(turns);
  });
});
