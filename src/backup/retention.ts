/**
 * Which backups stay. The newest of each hour, day, week and month that there is one of, for as
 * many of those as asked for, and the last few anyway; all in UTC. The newest one always stays.
 */

import type { Backup } from './catalog.js';

/** How many to keep of each; 0: none for this reason. */
export interface Retention {
  readonly last: number;
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
}

export const noRetention: Retention = { last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0 };

const dayMs = 24 * 3_600_000;
/** The first Monday of the epoch was its fifth day. */
const firstMondayMs = 4 * dayMs;

/** `last=7,daily=30,weekly=12`; undefined: it is not that. */
export function parseRetention(text: string): Retention | undefined {
  const kept: Record<string, number> = { ...noRetention };
  for (const part of text.split(',')) {
    const [, name = '', count = ''] = /^\s*([a-z]+)=(\d{1,6})\s*$/.exec(part) ?? [];
    if (!Object.hasOwn(noRetention, name)) return undefined;
    kept[name] = Number(count);
  }
  return kept as unknown as Retention;
}

/** Those that go; `backups` the oldest first. Without any number nothing goes. */
export function toRemove(backups: readonly Backup[], retention: Retention): readonly Backup[] {
  const asked = Object.values(retention).some((count) => count > 0);
  if (!asked) return [];
  const newestFirst = [...backups].reverse();
  const kept = new Set<Backup>(newestFirst.slice(0, Math.max(1, retention.last)));
  const periods: ReadonlyArray<readonly [number, (ms: number) => string]> = [
    [retention.hourly, (ms) => String(Math.floor(ms / 3_600_000))],
    [retention.daily, (ms) => String(Math.floor(ms / dayMs))],
    [retention.weekly, (ms) => String(Math.floor((ms - firstMondayMs) / (7 * dayMs)))],
    [retention.monthly, (ms) => new Date(ms).toISOString().slice(0, 7)],
  ];
  for (const [count, periodOf] of periods) {
    const seen = new Set<string>();
    for (const backup of newestFirst) {
      const period = periodOf(backup.manifest.full.startedMs);
      if (seen.has(period)) continue;
      if (seen.size >= count) break;
      seen.add(period);
      kept.add(backup);
    }
  }
  return backups.filter((backup) => !kept.has(backup));
}
