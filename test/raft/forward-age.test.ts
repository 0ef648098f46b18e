/** How old proposals may be that a follower passes on: what was held up on the way is not done. */

import { expect, test } from 'vitest';
import { initialRestore, type Message } from '../../src/raft/index.js';
import { bytes, defaultOptions, seededU32, TestNode, text } from './support/cluster.js';

const maxMs = 7000;

/** Member 1 leads, members 2 and 3 follow; each has a clock of its own, and nothing is lost. */
class Members {
  readonly clocks = [0, 50_000, 90_000.75, 1234.5];
  readonly nodes: TestNode[];
  readonly #members = [1n, 2n, 3n];

  constructor() {
    this.nodes = this.#members.map((id) => {
      const forwardAge = { nowMs: () => this.clocks[Number(id)] as number, maxMs };
      const options = { ...defaultOptions, id, randomU32: seededU32(Number(id)), forwardAge };
      return new TestNode(options, initialRestore(this.#members));
    });
    this.node(1n).raft.campaign();
    this.settle();
  }

  node(id: bigint): TestNode {
    return this.nodes[Number(id) - 1] as TestNode;
  }

  /** Time passes, the same everywhere. */
  pass(ms: number): void {
    for (const i of this.clocks.keys()) this.clocks[i] = (this.clocks[i] as number) + ms;
  }

  /** Delivers until nobody says anything; returns what `held` takes out. */
  settle(held: (message: Message) => boolean = () => false): Message[] {
    const kept: Message[] = [];
    for (;;) {
      const messages = this.nodes.flatMap((node) => node.drain());
      if (messages.length === 0) return kept;
      for (const message of messages) {
        if (held(message)) kept.push(message);
        else this.node(message.to).raft.step(message);
      }
    }
  }

  heartbeat(): void {
    this.node(1n).raft.tick();
    this.settle();
  }

  commands(): string[] {
    const { applied } = this.node(1n);
    return applied.filter(({ type }) => type === 'normal').map(({ data }) => text(data));
  }
}

const isForward = ({ type }: Message): boolean => type === 'ForwardProposal';

test('a proposal that was held up on the way to the leader for too long is not done', () => {
  const members = new Members();
  members.heartbeat();
  const { raft } = members.node(2n);
  expect(raft.propose([bytes('young')])).toBeUndefined();
  const [young] = members.settle(isForward) as [Message];
  expect(raft.propose([bytes('old')])).toBeUndefined();
  const [old] = members.settle(isForward) as [Message];
  members.pass(maxMs);
  members.node(1n).raft.step(young);
  // Nobody can tell whether the leader was stopped meanwhile, or the message was under way.
  members.pass(1);
  members.node(1n).raft.step(old);
  members.settle();
  expect(members.commands()).toEqual(['young']);
  // It still leads, and what is sent now is done.
  members.heartbeat();
  expect(raft.propose([bytes('new')])).toBeUndefined();
  members.settle();
  expect(members.commands()).toEqual(['young', 'new']);
});

test('what is sent before the first heartbeat of a leader is as young as its election', () => {
  const members = new Members();
  const { raft } = members.node(3n);
  expect(raft.leader).toBe(1n);
  expect(raft.ageStamp.clockMs).toBe(0);
  raft.propose([bytes('a')]);
  members.settle();
  expect(members.commands()).toEqual(['a']);
  raft.propose([bytes('b')]);
  const [late] = members.settle(isForward) as [Message];
  members.pass(maxMs + 1);
  members.node(1n).raft.step(late);
  members.settle();
  expect(members.commands()).toEqual(['a']);
});

test('the clock of an earlier leader says nothing to the next', () => {
  const members = new Members();
  members.heartbeat();
  const { raft } = members.node(2n);
  expect(raft.ageStamp).toEqual({ term: 2, clockMs: 50_000 });
  members.node(3n).raft.campaign();
  members.settle();
  expect(raft.ageStamp).toEqual({ term: 3, clockMs: 0 });
  expect(members.node(3n).raft.isFresh({ term: 2, clockMs: 90_000 })).toBe(false);
  expect(members.node(3n).raft.isFresh(raft.ageStamp)).toBe(true);
  members.pass(maxMs + 1);
  expect(members.node(3n).raft.isFresh(raft.ageStamp)).toBe(false);
  expect(members.node(1n).raft.isFresh(raft.ageStamp)).toBe(false);
});

test('members of a version without clocks are still heard', () => {
  const members = new Members();
  members.pass(10 * maxMs);
  const entries = [{ type: 'normal' as const, data: bytes('a') }];
  members.node(1n).raft.step({ type: 'ForwardProposal', from: 2n, to: 1n, term: 2, entries });
  members.settle();
  expect(members.commands()).toEqual(['a']);
  const { raft } = members.node(2n);
  raft.step({ type: 'Heartbeat', from: 1n, to: 2n, term: 2, commit: 0, readSequence: 0 });
  expect(raft.ageStamp.clockMs).toBe(0);
});
