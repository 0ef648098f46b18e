/** `--rate-limit`: how many requests one client may make. */

import { quote, UsageError } from './usage-error.js';

export interface RateLimit {
  readonly perSecond: number;
  /** Requests that may come at once after a rest. */
  readonly burst: number;
  /** Whose requests count together; a user's only while auth is on, else as `address`. */
  readonly per: 'user' | 'address';
}

const perSecondMax = 1_000_000;
const burstMax = 10_000_000;
const example = "'500/s,burst=1000,per=user'";

/** Undefined for ''. Throws UsageError. */
export function parseRateLimit(text: string): RateLimit | undefined {
  if (text.trim() === '') return undefined;
  const [first = '', ...others] = text.split(',').map((part) => part.trim());
  const rate = /^(\d+(?:\.\d+)?)(?:\/(s|m|h))?$/.exec(first);
  if (rate === null) throw wrong(text, `it begins with a rate, as ${example}`);
  const perSecond = Number(rate[1]) / secondsOf(rate[2]);
  if (!(perSecond > 0 && perSecond <= perSecondMax)) {
    throw wrong(text, `a rate is above 0, and at most ${perSecondMax}/s`);
  }
  let burst: number | undefined;
  let per: RateLimit['per'] | undefined;
  for (const part of others) {
    const [name, value = ''] = part.split('=');
    if (name === 'burst' && burst === undefined && /^\d+$/.test(value)) {
      burst = Number(value);
      if (burst < 1 || burst > burstMax) throw wrong(text, `a burst is 1 to ${burstMax}`);
    } else if (name === 'per' && per === undefined && (value === 'user' || value === 'address')) {
      per = value;
    } else {
      throw wrong(text, `after the rate there may be burst=N and per=user or per=address, once`);
    }
  }
  return { perSecond, burst: burst ?? Math.max(1, Math.ceil(perSecond)), per: per ?? 'user' };
}

function secondsOf(unit: string | undefined): number {
  return unit === 'm' ? 60 : unit === 'h' ? 3600 : 1;
}

function wrong(text: string, why: string): UsageError {
  return new UsageError(`--rate-limit: ${quote(text)}: ${why}`);
}
