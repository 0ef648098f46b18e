/** Which backups stay. */
import { describe, expect, it } from 'vitest';
import type { Backup } from '../../src/backup/index.js';
import { noRetention, parseRetention, type Retention, toRemove } from '../../src/backup/index.js';

const hourMs = 3_600_000;
const start = Date.parse('2026-11-01T00:30:00Z');

/** One an hour. */
const backups = Array.from({ length: 24 * 60 }, (_, i) => {
  const full = { startedMs: start + i * hourMs };
  return { manifestName: String(i), manifest: { full } } as unknown as Backup;
});

const kept = (retention: Partial<Retention>): string[] => {
  const removed = new Set(toRemove(backups, { ...noRetention, ...retention }));
  return backups
    .filter((backup) => !removed.has(backup))
    .map(({ manifest }) => new Date(manifest.full.startedMs).toISOString().slice(5, 13));
};

describe('what stays', () => {
  it('is all of them if nothing is said', () => {
    expect(kept({})).toHaveLength(backups.length);
  });

  it('are the last ones', () => {
    expect(kept({ last: 2 })).toEqual(['12-30T22', '12-30T23']);
  });

  it('is the newest of each period, as many as asked for', () => {
    expect(kept({ daily: 3 })).toEqual(['12-28T23', '12-29T23', '12-30T23']);
    // Monday is the 28th.
    expect(kept({ weekly: 2 })).toEqual(['12-27T23', '12-30T23']);
    expect(kept({ monthly: 9 })).toEqual(['11-30T23', '12-30T23']);
    expect(kept({ hourly: 2, daily: 2 })).toEqual(['12-29T23', '12-30T22', '12-30T23']);
  });

  it('is the newest in any case', () => {
    const one = backups.slice(0, 1);
    expect(toRemove(one, { ...noRetention, daily: 1 })).toEqual([]);
    expect(toRemove([], { ...noRetention, last: 1 })).toEqual([]);
  });

  it.each([
    ['last=7', { last: 7 }],
    [' daily=30 , weekly=8', { daily: 30, weekly: 8 }],
    ['monthly=0', { monthly: 0 }],
  ])('is said as %j', (text, parts) => {
    expect(parseRetention(text)).toEqual({ ...noRetention, ...parts });
  });

  it.each(['', 'last', 'last=x', 'yearly=1', 'last=7;daily=1'])('is not said as %j', (text) => {
    expect(parseRetention(text)).toBeUndefined();
  });
});
