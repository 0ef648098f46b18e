/** The contract of features (src/server/feature): what the node takes from them, and when. */

import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/common/index.js';
import {
  EntryKind,
  type EntryType,
  entryTable,
  entryType,
  onlyTheMember,
} from '../../src/server/entry/index.js';
import type { Feature } from '../../src/server/feature/index.js';
import { gaugeNames, Metrics } from '../../src/server/metrics/index.js';
import { Failure, openNode } from '../../src/server/node/index.js';
import { PeerQuestions } from '../../src/server/node/peer-questions.js';
import { defaultConfig } from '../../src/server/options/index.js';
import { memoryPorts } from '../../src/sim/member/index.js';
import { SimMachine } from '../crash/sim-node.js';
import { SimClient } from '../faults/sim.js';
import { eventually } from '../helpers/eventually.js';

const put = (kind: EntryKind, operation = 'Test'): EntryType =>
  entryType({
    kind,
    operation,
    decode: (body) => body,
    refusedWhenCorrupt: true,
    allows: onlyTheMember,
    apply: () => 1,
  });

describe('a table of entry types', () => {
  it('finds each by its number, and takes no number twice', () => {
    const types = [put(EntryKind.put), put(EntryKind.alarm)];
    const table = entryTable(types);
    expect(table[EntryKind.put]).toBe(types[0]);
    expect(table[EntryKind.alarm]).toBe(types[1]);
    expect(table[EntryKind.txn]).toBeUndefined();
    expect(() => entryTable([...types, put(EntryKind.put)])).toThrow(InvariantError);
  });

  it('takes no type that does not say how it is applied', () => {
    const spec = {
      kind: EntryKind.put,
      operation: 'Test',
      refusedWhenCorrupt: true,
      allows: onlyTheMember,
    };
    expect(() => entryType({ ...spec, decode: (body) => body })).toThrow(/how it is applied/);
  });

  it('has objects of one shape, so that looking at them stays fast', () => {
    const long = entryType({
      kind: EntryKind.txn,
      operation: 'Test',
      decode: (body) => body,
      refusedWhenCorrupt: false,
      allows: onlyTheMember,
      // biome-ignore lint/correctness/useYield: it has nothing to wait for.
      *applySteps() {
        return 1;
      },
    });
    expect(Object.keys(long)).toEqual(Object.keys(put(EntryKind.put)));
  });
});

describe('the features of a whole member', () => {
  it('apply every kind of entry, know every gauge, and have each method once', async () => {
    const { features, host } = (await SimClient.start(new SimMachine(4))).node.node;
    const kinds = features.flatMap(({ entries = [] }) => entries.map(({ kind }) => kind));
    // A change of the members is Raft's: the node applies it itself.
    const own = Object.values(EntryKind).filter((kind) => kind !== EntryKind.memberChange);
    expect([...kinds].sort((a, b) => a - b)).toEqual(own.sort((a, b) => a - b));
    const names = features.flatMap(({ methods = [] }) => methods.map(([name]) => name));
    expect(names.length).toBeGreaterThan(25);
    expect(new Set(names).size).toBe(names.length);
    const gauges = features.flatMap((feature) => Object.keys(feature.gauges?.() ?? {}));
    expect(new Set(gauges).size).toBe(gauges.length);
    for (const gauge of gauges) expect(Object.keys(gaugeNames)).toContain(gauge);
    const methods = ['cluster', 'memberChange', 'leaseRenew', 'leaseTimeToLive', 'hashKv'] as const;
    const questions = new PeerQuestions(features);
    for (const method of methods) {
      const answer = questions.call(host.memberId, method, Buffer.alloc(0));
      await answer.catch((error: unknown) => expect(error).not.toBeInstanceOf(InvariantError));
    }
  });

  it('answer a question once', () => {
    const answers: Feature = { name: 'a', questions: [['hashKv', () => Buffer.alloc(0)]] };
    expect(() => new PeerQuestions([answers, answers])).toThrow(InvariantError);
  });
});

/** A feature that notes what it is told, and applies its own entries. */
function noting(notes: string[], name: string): Feature {
  const note = (what: string) => () => void notes.push(`${name} ${what}`);
  return {
    name,
    // biome-ignore lint/correctness/useYield: it is done at once
    *restore() {
      return note('restore');
    },
    join: async () => note('join')(),
    check: async () => note('check')(),
    serve: note('serve'),
    lead: (term) => note(`lead ${term}`)(),
    follow: note('follow'),
    retire: note('retire'),
    close: note('close'),
    gauges: () => ({}),
  };
}

describe('a node', () => {
  it('tells its features of its life, in order', async () => {
    const notes: string[] = [];
    const config = defaultConfig('--data-dir', '/data');
    const failure = new Failure((error) => {
      throw error;
    }, '/data');
    const ports = memoryPorts();
    const { node } = await openNode(
      { config, ports, metrics: new Metrics(), failure, signal: undefined },
      () => ({ all: [noting(notes, 'a'), noting(notes, 'b')] }),
    );
    expect(notes).toEqual(['a restore', 'b restore']);
    await node.start();
    await eventually(() => notes.includes('b lead 2') || undefined, 'that it leads');
    expect(notes.filter((one) => !one.includes('lead'))).toEqual([
      ...['a restore', 'b restore', 'a join', 'b join'],
    ]);
    await node.check();
    node.serve();
    node.retire();
    await node.stop();
    expect(notes.filter((one) => !/lead|restore|join/.test(one))).toEqual([
      ...['a check', 'b check', 'a serve', 'b serve', 'a retire', 'b retire'],
      ...['a close', 'b close'],
    ]);
  });
});
