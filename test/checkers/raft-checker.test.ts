import { describe, expect, it } from 'vitest';
import { RaftChecker, type SeenEntry, type SeenStatus } from './raft-checker.js';

const entry = (index: number, term: number, digest = `${term}.${index}`): SeenEntry => {
  return { index, term, digest };
};
const status = (term: number, more: Partial<SeenStatus> = {}): SeenStatus => {
  return { term, isLeader: false, commit: 0, applied: 0, ...more };
};
const leads = (term: number): SeenStatus => status(term, { isLeader: true });

function checker(): RaftChecker {
  const result = new RaftChecker(() => 0);
  for (const member of [1n, 2n, 3n]) result.started(member, status(0), 1, []);
  return result;
}

describe('the Raft checker', () => {
  it('is content with a log that goes its way', () => {
    const raft = checker();
    raft.persisted(1n, 1, 1n);
    raft.persisted(2n, 1, 1n);
    raft.observed(1n, leads(1));
    for (const member of [1n, 2n, 3n]) raft.appended(member, [entry(1, 1), entry(2, 1)]);
    raft.appended(3n, [entry(3, 1)]);
    raft.appliedEntry(1n, entry(1, 1));
    raft.appliedEntry(2n, entry(1, 1));
    raft.observed(2n, leads(2));
    raft.appended(2n, [entry(3, 2)]);
    raft.appended(3n, [entry(3, 2)]);
    raft.installed(1n, 3);
    raft.appended(1n, [entry(4, 2)]);
    raft.appliedEntry(1n, entry(4, 2));
    expect(raft.report.violations).toEqual([]);
    expect(raft.report.checkCount).toBeGreaterThan(10);
  });

  it('forgets a log that a snapshot took the place of', () => {
    const raft = checker();
    raft.appended(1n, [entry(1, 1), entry(2, 1), entry(3, 1)]);
    raft.appended(2n, [entry(1, 1), entry(2, 2), entry(3, 3)]);
    raft.installed(1n, 2);
    raft.appended(1n, [entry(3, 3)]);
    expect(raft.report.violations).toEqual([]);
  });

  it('election safety: finds two leaders in a term', () => {
    const raft = checker();
    raft.observed(1n, leads(1));
    raft.observed(2n, leads(1));
    expect(raft.report.rules()).toEqual(['raft: election safety']);
  });

  it('log matching: finds two entries with one index and term', () => {
    const raft = checker();
    raft.appended(1n, [entry(1, 1)]);
    raft.appended(2n, [entry(1, 1, 'other')]);
    expect(raft.report.rules()).toEqual(['raft: log matching']);
  });

  it('log matching: finds different entries before equal ones', () => {
    const raft = checker();
    raft.appended(1n, [entry(1, 1), entry(2, 2)]);
    raft.appended(2n, [entry(1, 2), entry(2, 2)]);
    expect(raft.report.rules()).toEqual(['raft: log matching']);
  });

  it('leader completeness: finds a leader without a committed entry', () => {
    const raft = checker();
    raft.appended(1n, [entry(1, 1), entry(2, 1)]);
    raft.appliedEntry(1n, entry(1, 1));
    raft.appliedEntry(1n, entry(2, 1));
    raft.appended(2n, [entry(1, 1)]);
    raft.observed(2n, leads(2));
    expect(raft.report.rules()).toEqual(['raft: leader completeness']);
  });

  it('state machine safety: finds two entries applied at one index', () => {
    const raft = checker();
    raft.appliedEntry(1n, entry(1, 1));
    raft.appliedEntry(2n, entry(1, 2));
    expect(raft.report.rules()).toEqual(['raft: state machine safety']);
  });

  it('finds an entry that is skipped, and one that is applied again', () => {
    const skipping = checker();
    skipping.appliedEntry(1n, entry(2, 1));
    expect(skipping.report.rules()).toEqual(['raft: applies in order']);
    const again = checker();
    again.appliedEntry(1n, entry(1, 1));
    again.appliedEntry(1n, entry(1, 1));
    expect(again.report.rules()).toEqual(['raft: applies in order']);
  });

  it('finds a second vote in a term, also after a restart', () => {
    const raft = checker();
    raft.persisted(1n, 4, 2n);
    raft.started(1n, status(4), 1, []);
    raft.persisted(1n, 4, 3n);
    expect(raft.report.rules()).toEqual(['raft: one vote a term']);
  });

  it('finds a term that is forgotten, and a commit that goes back', () => {
    const raft = checker();
    raft.observed(1n, status(4, { commit: 9 }));
    raft.observed(1n, status(4, { commit: 8 }));
    expect(raft.report.rules()).toEqual(['raft: term and commit never go back']);
    raft.persisted(1n, 4, 0n);
    raft.started(1n, status(3), 1, []);
    expect(raft.report.rules()).toContain('raft: a durable term is not forgotten');
  });

  it('finds a committed entry that is truncated', () => {
    const raft = checker();
    raft.appended(1n, [entry(1, 1), entry(2, 1)]);
    raft.observed(1n, status(1, { commit: 2 }));
    raft.appended(1n, [entry(2, 2)]);
    expect(raft.report.rules()).toEqual(['raft: never truncates what is committed']);
  });

  it('finds a snapshot that goes back', () => {
    const raft = checker();
    raft.installed(1n, 9);
    raft.installed(1n, 5);
    expect(raft.report.rules()).toEqual(['raft: snapshots go forward']);
  });
});
