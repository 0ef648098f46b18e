/** What the checkers found, and how much they looked at: one that looked at nothing is red. */

/** One broken promise. */
export interface Violation {
  /** Short and stable, as 'watch: unique'. */
  readonly rule: string;
  readonly what: string;
  /** On the clock of the history, if it has a moment. */
  readonly atMs: number | undefined;
}

/** Violations beyond this many are only counted. */
const keptMax = 50;

export class Report {
  readonly violations: Violation[] = [];
  /** Checks made, by rule. */
  readonly checks = new Map<string, number>();
  violationCount = 0;

  /** Counts a check of `rule`; with `ok` false it is a violation, described by `what`. */
  check(rule: string, ok: boolean, what: () => string, atMs?: number): boolean {
    this.checks.set(rule, (this.checks.get(rule) ?? 0) + 1);
    if (!ok) this.violate(rule, what(), atMs);
    return ok;
  }

  violate(rule: string, what: string, atMs?: number): void {
    this.violationCount += 1;
    if (this.violations.length < keptMax) this.violations.push({ rule, what, atMs });
  }

  get checkCount(): number {
    let sum = 0;
    for (const count of this.checks.values()) sum += count;
    return sum;
  }

  /** Takes over what another one found. */
  add(other: Report): void {
    for (const { rule, what, atMs } of other.violations) this.violate(rule, what, atMs);
    for (const [rule, count] of other.checks) {
      this.checks.set(rule, (this.checks.get(rule) ?? 0) + count);
    }
  }

  /** Rules that were broken, each once. */
  rules(): string[] {
    return [...new Set(this.violations.map(({ rule }) => rule))];
  }
}
