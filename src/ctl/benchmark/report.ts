/** What a load came to, in the words of etcd's benchmark; while it runs, a few lines that move. */

import { countText, type Paint, printable, secondsText } from '../show/index.js';
import type { Outcome } from './load.js';

const stepsShown = 11;
const barWidth = 40;
const percentiles = [10, 25, 50, 75, 90, 95, 99, 99.9];
const second = 1e6;

/** The report of etcd's benchmark; `precise` gives times all of their digits. */
export function reportText(title: string, outcome: Outcome, precise: boolean): string {
  const { latencyUs: latency, errors } = outcome;
  const time = (us: number) => (precise ? String(us / second) : (us / second).toFixed(4));
  const most = Math.max(1, ...latency.steps(stepsShown).map(({ count }) => count));
  const lines = [
    `${title}:`,
    '',
    'Summary:',
    `  Total:\t${precise ? outcome.seconds : outcome.seconds.toFixed(4)} secs.`,
    `  Slowest:\t${time(latency.max)} secs.`,
    `  Fastest:\t${time(Math.min(latency.min, latency.max))} secs.`,
    `  Average:\t${time(latency.mean)} secs.`,
    `  Stddev:\t${time(latency.deviation)} secs.`,
    `  Requests/sec:\t${precise ? outcome.perSecond : outcome.perSecond.toFixed(4)}`,
    '',
    'Response time histogram:',
    ...latency.steps(stepsShown).map(({ upTo, count }) => {
      return `  ${time(upTo)} [${count}]\t|${'∎'.repeat(Math.round((count / most) * barWidth))}`;
    }),
    '',
    'Latency distribution:',
    ...percentiles.map(
      (percent) => `  ${percent}% in ${time(latency.quantile(percent / 100))} secs.`,
    ),
  ];
  if (errors.size > 0) {
    lines.push('', 'Error distribution:');
    for (const [text, many] of errors) lines.push(`  [${many}]\t${printable(text)}`);
  }
  return `${lines.join('\n')}\n`;
}

/** The same as numbers; times in seconds. */
export function reportJson(title: string, outcome: Outcome) {
  const { latencyUs: latency } = outcome;
  return {
    name: title,
    seconds: outcome.seconds,
    requests: latency.count,
    requestsPerSecond: outcome.perSecond,
    failed: outcome.failed,
    errors: Object.fromEntries(outcome.errors),
    latencySeconds: {
      min: latency.count === 0 ? 0 : latency.min / second,
      mean: latency.mean / second,
      deviation: latency.deviation / second,
      max: latency.max / second,
      ...Object.fromEntries(
        percentiles.map((percent) => [`p${percent}`, latency.quantile(percent / 100) / second]),
      ),
    },
  };
}

/** How it goes just now, on a terminal. */
export function liveLines(
  title: string,
  outcome: Outcome,
  paint: Paint,
  columns: number,
): string[] {
  const { latencyUs: latency, total, failed } = outcome;
  const share = total === 0 ? 1 : Math.min(1, (latency.count + failed) / total);
  const width = Math.max(10, Math.min(60, columns - 20));
  const filled = Math.round(share * width);
  const steps = latency.count === 0 ? [] : latency.steps(stepsShown);
  const most = Math.max(1, ...steps.map(({ count }) => count));
  const bar = Math.max(5, Math.min(50, columns - 30));
  const time = (percent: number) => secondsText(latency.quantile(percent / 100) / second);
  return [
    paint('head', title),
    `${'█'.repeat(filled)}${'░'.repeat(width - filled)} ${Math.round(share * 100)} %`,
    '',
    `${countText(latency.count)} of ${countText(total)}, ${countText(outcome.perSecond)} a second` +
      (failed === 0 ? '' : paint('bad', `, ${countText(failed)} failed`)),
    `p50 ${time(50)}   p90 ${time(90)}   p99 ${time(99)}   p99.9 ${time(99.9)}   max ${time(100)}`,
    '',
    ...steps.map(({ upTo, count }) => {
      const label = secondsText(upTo / second).padStart(10);
      return `${label} ${'▇'.repeat(Math.round((count / most) * bar))} ${countText(count)}`;
    }),
    '',
    paint('dim', 'q ends it, and reports'),
  ];
}
