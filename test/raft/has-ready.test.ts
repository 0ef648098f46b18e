/** `hasReady` is a question: asking it, however often and whenever, changes nothing. */

import { describe, expect, test } from 'vitest';
import type { Message } from '../../src/raft/index.js';
import { addLearner, bytes, change, remove, TestCluster } from './support/cluster.js';

function leading(): TestCluster {
  const cluster = new TestCluster(3);
  cluster.elect(1n);
  return cluster;
}

describe('hasReady', () => {
  test('does not begin a round of reads: a read that comes after it is in the same one', () => {
    const raft = leading().raft(1n);
    raft.readIndex(1);
    expect(raft.hasReady()).toBe(true);
    raft.readIndex(2);
    expect(raft.hasReady()).toBe(true);
    const { messages } = raft.ready();
    expect(messages.map(({ type, to }) => `${type} ${to}`)).toEqual(['Heartbeat 2', 'Heartbeat 3']);
    expect(raft.hasReady()).toBe(false);
  });

  test('does not send: what is proposed after it is in the same message', () => {
    const raft = leading().raft(1n);
    raft.propose([bytes('a')]);
    expect(raft.hasReady()).toBe(true);
    raft.propose([bytes('b')]);
    const { messages } = raft.ready();
    const sent = messages.map((m) => (m.type === 'AppendEntries' ? m.entries.length : m.type));
    expect(sent).toEqual([2, 2]);
  });

  test('is true when only messages to followers are due', () => {
    const cluster = leading();
    const raft = cluster.raft(1n);
    const term = raft.term;
    // It heard a heartbeat and lacks nothing: nothing is due. It lacks something: it is.
    const response = {
      type: 'HeartbeatResponse',
      from: 2n,
      to: 1n,
      term,
      readSequence: 0,
    } as const;
    raft.step(response);
    expect(raft.hasReady()).toBe(false);
    cluster.isolate(2n);
    cluster.propose(1n, 'a');
    expect(raft.hasReady()).toBe(false);
    raft.step(response);
    expect(raft.hasReady()).toBe(true);
    const { entries, hardState, messages } = raft.ready();
    expect([entries.length, hardState, messages.map(({ to }) => to)]).toEqual([0, undefined, [2n]]);
    expect(raft.hasReady()).toBe(false);
  });

  test('is false when the only one that lacks something is silent and needs a snapshot', () => {
    const cluster = leading();
    cluster.isolate(3n);
    cluster.propose(1n, 'a');
    cluster.propose(1n, 'b');
    const raft = cluster.raft(1n);
    // Only the leader's time passes: nobody campaigns.
    const tick = (count: number): void => {
      for (let i = 0; i < count; i += 1) {
        raft.tick();
        cluster.deliver();
      }
    };
    tick(30);
    raft.compact(raft.status().applied);
    raft.reportUnreachable(3n);
    expect(raft.hasReady()).toBe(false);
    cluster.heal();
    tick(3);
    expect(cluster.commands(2n)).toEqual(['a', 'b']);
    expect(cluster.raft(3n).status().applied).toBe(raft.status().applied);
  });

  test('asked at every moment leaves the same run as asked only when it must be', () => {
    const asked = record(true);
    expect(asked.sent.length).toBeGreaterThan(100);
    expect(asked).toEqual(record(false));
  });
});

/** A run with everything in it; `often`: with questions before and after each step. */
function record(often: boolean): { readonly sent: Message[]; readonly states: unknown[] } {
  const cluster = new TestCluster(3, { preVote: true, checkQuorum: true, inflightAppendsMax: 2 });
  const sent: Message[] = [];
  const ask = (): void => {
    if (!often) return;
    for (const { raft } of cluster.nodes.values()) {
      const first = raft.hasReady();
      if (raft.hasReady() !== first) throw new Error('two answers to one question');
    }
  };
  const drops = new Set<bigint>();
  cluster.filter = (message) => {
    ask();
    sent.push(message);
    return !drops.has(message.from) && !drops.has(message.to);
  };
  const propose = (id: bigint, text: string): void => {
    for (let i = 0; i < 4; i += 1) {
      cluster.raft(id).propose([bytes(`${text}${i}`)]);
      ask();
    }
    cluster.raft(id).readIndex(sent.length);
    ask();
    cluster.raft(id).readIndex(sent.length + 1);
    cluster.deliver();
  };
  cluster.elect(1n);
  propose(1n, 'a');
  drops.add(3n);
  propose(1n, 'b');
  cluster.tick(25);
  cluster.raft(1n).compact(cluster.raft(1n).status().applied);
  drops.clear();
  cluster.tick(40);
  cluster.change(1n, change([remove(3n)]));
  cluster.change(1n, change([addLearner(3n)]));
  cluster.raft(1n).transferLeadership(2n);
  cluster.deliver();
  propose(2n, 'c');
  cluster.tick(5);
  const states = [...cluster.nodes.values()].map(({ raft }) => [raft.status(), raft.progress()]);
  return { sent, states };
}
