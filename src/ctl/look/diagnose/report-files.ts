/**
 * What `diagnose --output` writes: what somebody asks for who is to help. Metrics and status hold
 * no keys, no values and no passwords; the flags of the line, which may, are not among it.
 */

import { jsonLine } from '../../show/index.js';
import { statusJson } from '../status/index.js';
import type { Evidence, Finding } from './finding.js';

export interface ReportFile {
  /** Below the folder of the report. */
  readonly name: string;
  readonly text: string;
}

/** All files; `lines` is the report as it was printed. */
export function reportFiles(
  evidence: Evidence,
  findings: readonly Finding[],
  lines: readonly string[],
): ReportFile[] {
  const { now, before, slowLines } = evidence;
  return [
    { name: 'report.txt', text: `${lines.join('\n')}\n` },
    { name: 'findings.json', text: jsonLine(findings) },
    { name: 'status.json', text: jsonLine(statusJson(now)) },
    { name: 'status-before.json', text: jsonLine(statusJson(before)) },
    ...(slowLines.length === 0 ? [] : [{ name: 'slow-log.json', text: jsonLine(slowLines) }]),
    ...now.members
      .filter(({ metricsText }) => metricsText !== '')
      .map(({ name, id, metricsText }, i) => {
        const who = /^[\w.-]+$/.test(name) ? name : `member-${id?.toString(16) ?? i}`;
        return { name: `metrics/${who}.txt`, text: metricsText };
      }),
  ];
}
