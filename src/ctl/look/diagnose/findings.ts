/** All rules, and what they find, the worst first. */

import type { Evidence, Finding } from './finding.js';
import { weights } from './finding.js';
import { memberRules } from './member-rules.js';
import { safetyRules } from './safety-rules.js';
import { storeRules } from './store-rules.js';
import { timeRules } from './time-rules.js';

/** In order of weight, and inside of one in the order of the rules. */
export function findingsOf(evidence: Evidence): Finding[] {
  const rules = [...memberRules, ...storeRules, ...timeRules, ...safetyRules];
  const found = rules.flatMap((rule) => rule(evidence));
  return found.sort((a, b) => weights.indexOf(a.weight) - weights.indexOf(b.weight));
}
