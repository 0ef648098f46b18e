/** What a member's log tells of slow things; the log is a file where the member runs. */

import type { SlowLine } from './finding.js';
import { parseJson } from './parse-json.js';

/** Of a longer log the end is looked at. */
const logBytesMax = 64 * 1024 * 1024;
const lineShownMax = 400;

/** `request stats` is what a warning of a slow request is called, by etcd too. */
const slow =
  /took too long|slow (?:fdatasync|fsync|request)|overloaded|failed to send|request stats/i;

/** Messages of a log in JSON that tell of something slow, the most frequent first. */
export function slowLinesOf(log: Uint8Array): SlowLine[] {
  const end = log.subarray(Math.max(0, log.length - logBytesMax));
  const found = new Map<string, { times: number; last: string }>();
  for (const line of Buffer.from(end).toString('utf8').split('\n')) {
    if (!slow.test(line)) continue;
    const { level, msg } = parseJson(line) as { readonly level?: unknown; readonly msg?: unknown };
    // At the level debug every request has its line.
    if (level === 'debug' || typeof msg !== 'string' || !slow.test(msg)) continue;
    const times = (found.get(msg)?.times ?? 0) + 1;
    found.set(msg, { times, last: line.slice(0, lineShownMax) });
  }
  const lines = [...found].map(([message, { times, last }]) => ({ message, times, last }));
  return lines.sort((a, b) => b.times - a.times);
}
