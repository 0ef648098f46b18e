import { describe, expect, it } from 'vitest';
import { parseOptions } from './options.js';
import { gapsOf, problemsOf, type Summary } from './summary.js';

const options = parseOptions(['--minutes', '2'], '/tmp', 1);

const good: Omit<Summary, 'problems'> = {
  program: 'kvorum',
  seed: 1,
  members: 3,
  minutes: 2,
  operations: 200_000,
  operationsPerSecond: 1600,
  outcomes: { ok: 199_000 },
  revisions: 80_000,
  watchers: 300,
  watchEvents: 250_000,
  leases: 80,
  windows: 500,
  windowsLeftOut: 3,
  elections: 5,
  term: 6,
  faults: Object.fromEntries(
    ['kill leader', 'kill any', 'partition', 'a', 'b', 'c', 'd', 'e'].map((kind) => [kind, 1]),
  ),
  gaps: [],
  wholeAgainMs: { medianMs: 1, maxMs: 2 },
  peerConnections: 20,
  harnessMb: 300,
  checks: {},
  checkCount: 2_000_000,
  violationCount: 0,
  violations: [],
};

describe('a chaos run that did too little (L-52)', () => {
  it('is none if enough was done', () => {
    expect(problemsOf(options, good)).toEqual([]);
  });

  it.each([
    ['operations', { operationsPerSecond: 100 }],
    ['faults', { faults: { 'kill leader': 1, partition: 1 } }],
    ['partition', { faults: { ...good.faults, partition: 0 } }],
    ['elections', { elections: 1 }],
    ['checks', { checkCount: 1000 }],
    ['events', { watchEvents: 10 }],
  ])('says so: %s', (what, less) => {
    expect(problemsOf(options, { ...good, ...less }).join()).toContain(what);
  });

  it('tells the worst gap, not only the usual one', () => {
    const gaps = gapsOf(new Map([['kill leader', [900, 1000, 1100, 3000]]]));
    expect(gaps).toEqual([
      { kind: 'kill leader', count: 4, medianMs: 1100, p99Ms: 3000, maxMs: 3000 },
    ]);
  });
});
