/** Go's durations: `1m30s`, `1.5h`, `100ms`. */

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: minuteMs,
  h: hourMs,
};

/** Milliseconds of a duration in Go's form. Throws an Error with Go's words. */
export function parseDurationMs(text: string): number {
  const match = /^([+-]?)(.*)$/s.exec(text);
  const sign = match?.[1] === '-' ? -1 : 1;
  let rest = match?.[2] ?? '';
  if (rest === '0') return 0;
  if (rest === '') throw new Error(`time: invalid duration ${JSON.stringify(text)}`);
  let sum = 0;
  while (rest !== '') {
    const part = /^(\d*)(\.\d*)?([^\d.]*)/.exec(rest);
    const [all = '', whole = '', fraction = '', unit = ''] = part ?? [];
    if (all === '' || (whole === '' && fraction.length < 2)) {
      throw new Error(`time: invalid duration ${JSON.stringify(text)}`);
    }
    if (unit === '') throw new Error(`time: missing unit in duration ${JSON.stringify(text)}`);
    const factor = unitMs[unit];
    if (factor === undefined) {
      const said = `${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`;
      throw new Error(`time: unknown unit ${said}`);
    }
    sum += Number(`${whole}${fraction}`) * factor;
    rest = rest.slice(all.length);
  }
  return sign * sum;
}

/** As Go writes a duration: `1m30s`, `2s`, `100ms`. */
export function durationText(ms: number): string {
  if (ms === 0) return '0s';
  if (ms < 0) return `-${durationText(-ms)}`;
  if (ms < 1) return ms < 1e-3 ? `${Math.round(ms * 1e6)}ns` : `${trimmed(ms * 1e3)}µs`;
  if (ms < 1_000) return `${trimmed(ms)}ms`;
  const hours = Math.floor(ms / hourMs);
  const minutes = Math.floor((ms % hourMs) / minuteMs);
  const seconds = `${trimmed((ms % minuteMs) / 1_000)}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

/** A measured time as Go writes one: in whole nanoseconds. */
export function nanosecondText(ms: number): string {
  return durationText(Math.round(ms * 1e6) / 1e6);
}

function trimmed(value: number): string {
  return String(Number(value.toFixed(9)));
}
