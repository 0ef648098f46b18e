/**
 * What compaction allows: a read at a revision is answered while that is not below the compacted
 * one, and refused from then on, never before anybody asked to compact it away.
 */

import { describe, type History } from './history.js';
import type { Report } from './report.js';
import type { Truth } from './truth.js';

export interface CompactionLog {
  readonly history: History;
  readonly truth: Truth;
}

/** How the server words the refusal of a read below the compacted revision. */
export const compactedError = 'compacted';

export function checkCompactions({ history }: CompactionLog, report: Report): void {
  const compactions = [...history].filter(({ request }) => request.kind === 'compact');
  const done = compactions
    .filter(({ outcome }) => outcome === 'ok')
    .sort((a, b) => a.returnMs - b.returnMs);
  const asked = compactions.filter(({ outcome }) => outcome !== 'failed');
  for (const operation of history) {
    const { request, outcome, error, callMs, returnMs } = operation;
    if (request.kind !== 'get' || request.serializable) continue;
    const op = request.success[0];
    // As in etcd: what is below 0 is the present.
    if (op?.type !== 'get' || op.revision <= 0) continue;
    if (outcome === 'ok') {
      let compacted = 0;
      for (const by of done) {
        if (by.returnMs >= callMs) break;
        compacted = Math.max(compacted, by.request.compactRevision);
      }
      report.check(
        'compaction: no read below it',
        op.revision >= compacted,
        () => `compacted at ${compacted}: ${describe(operation)}`,
        returnMs,
      );
    } else if (outcome === 'failed' && error.includes(compactedError)) {
      const isAllowed = asked.some(
        (by) => by.callMs <= returnMs && by.request.compactRevision > op.revision,
      );
      report.check(
        'compaction: refused for a reason',
        isAllowed,
        () => `nobody compacted beyond ${op.revision}: ${describe(operation)}`,
        returnMs,
      );
    }
  }
}
