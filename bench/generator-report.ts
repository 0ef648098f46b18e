/** What etcd's load generator prints. */

import { type Figures, loadFigures } from './report.js';

/** The figures of its report, under the names of ours. Throws if it is not one. */
export function reportOf(text: string): Figures {
  const after = (pattern: RegExp): number => {
    const found = pattern.exec(text)?.[1];
    if (found === undefined) throw new Error(`no ${pattern} in:\n${text.slice(-2000)}`);
    return Number(found);
  };
  return {
    [loadFigures.rate]: after(/Requests\/sec:\s+([\d.]+)/),
    [loadFigures.p50]: after(/\b50% in ([\d.]+) secs/) * 1000,
    [loadFigures.p99]: after(/\b99% in ([\d.]+) secs/) * 1000,
  };
}
