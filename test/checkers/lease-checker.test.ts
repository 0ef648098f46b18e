import { describe, expect, it } from 'vitest';
import { checkLeases, type LeaseEnd, type LeaseRecord } from './lease-checker.js';
import { deleted, Truth } from './truth.js';

function truthOf(...after: string[]): Truth {
  const truth = new Truth();
  truth.append([{ type: 'put', key: 'l', value: '1', create: 2, version: 1, lease: 7n }]);
  truth.append([{ type: 'put', key: 'x', value: '2', create: 3, version: 1, lease: 0n }]);
  if (after.length > 0) truth.append(after.map(deleted));
  return truth;
}

const renewal = (callMs: number, ttlSeconds = 2) => ({ callMs, returnMs: callMs + 1, ttlSeconds });
const ended = (atMs: number, more: Partial<LeaseEnd> = {}): LeaseEnd => ({
  atMs,
  isAsked: false,
  revision: 4,
  ...more,
});

function broken(lease: Partial<LeaseRecord>, truth = truthOf('l'), clockRateMax = 1): string[] {
  const nothing = { goneCallsMs: [], listings: [], end: undefined };
  const record = { id: 7n, renewals: [renewal(0)], ...nothing, ...lease };
  const input = { leases: [record], truth, clockRateMax, endMs: 100_000, goneAfterMs: 5000 };
  return checkLeases(input).rules();
}

describe('the lease checker', () => {
  it('is content with leases that end after their TTL', () => {
    expect(broken({ end: ended(2000, { proposer: 1n, leader: 1n }) })).toEqual([]);
    expect(broken({ renewals: [renewal(0), renewal(1500)], end: ended(3500) })).toEqual([]);
    expect(broken({ end: ended(500, { isAsked: true }) })).toEqual([]);
  });

  it('finds one that ends too early', () => {
    expect(broken({ end: ended(1999) })).toEqual(['lease: not before its TTL']);
    const renewals = [renewal(0), renewal(1500)];
    expect(broken({ renewals, end: ended(3400) })).toEqual(['lease: not before its TTL']);
  });

  it('allows for a clock that runs fast', () => {
    expect(broken({ end: ended(1000) }, truthOf('l'), 2)).toEqual([]);
    expect(broken({ end: ended(999) }, truthOf('l'), 2)).toHaveLength(1);
  });

  it('finds one that never ends', () => {
    expect(broken({})).toEqual(['lease: ends']);
  });

  it('finds a renewal after the end (L-17)', () => {
    const renewals = [renewal(0), renewal(2500)];
    expect(broken({ renewals, end: ended(2400, { isAsked: true }) })).toEqual([
      'lease: renewed only while it lives',
    ]);
  });

  it('finds a lease that is said to be gone while it lives', () => {
    expect(broken({ renewals: [renewal(97_000)], goneCallsMs: [98_000] })).toEqual([
      'lease: not gone before its end',
    ]);
  });

  it('finds a key that outlives its lease', () => {
    const end = ended(2000, { revision: 0 });
    expect(broken({ end }, truthOf())).toEqual(['lease: its keys go with it']);
  });

  it('finds a key that goes with a lease it does not have', () => {
    expect(broken({ end: ended(2000) }, truthOf('l', 'x'))).toEqual([
      'lease: only its keys go with it',
    ]);
  });

  it('finds a list of keys that the lease did not have when it was asked', () => {
    const end = ended(2000);
    const list = (fromRevision: number, toRevision: number, ...listed: string[]) =>
      broken({ end, listings: [{ fromRevision, toRevision, listed, put: ['l'] }] });
    expect(list(2, 3, 'l')).toEqual([]);
    expect(list(3, 4)).toEqual([]);
    expect(list(3, 3)).toEqual(['lease: lists the keys that it has']);
    expect(list(4, 4, 'l')).toEqual(['lease: lists the keys that it has']);
    expect(list(2, 3, 'l', 'x')).toEqual(['lease: lists the keys that it has']);
  });

  it('finds an old leader that ends a lease (L-16)', () => {
    expect(broken({ end: ended(2000, { proposer: 1n, leader: 2n }) })).toEqual([
      'lease: ended by the leader of the term',
    ]);
  });
});
