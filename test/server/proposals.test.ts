import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EtcdError } from '../../src/common/index.js';
import { EntryKind, entryOrigin, entrySequence, newEntry } from '../../src/server/entry/index.js';
import { type Pending, Proposals } from '../../src/server/node/proposals.js';
import { SimClock } from '../../src/sim/index.js';

interface Answer {
  readonly name: number;
  readonly error: string | undefined;
}

function setup() {
  const clock = new SimClock();
  const proposals = new Proposals({ clock, origin: 0xfedcba98, timeoutMs: 7000 });
  const answers: Answer[] = [];
  const respond = (name: number, _request: unknown, error: Error | undefined): void => {
    answers.push({ name, error: (error as EtcdError | undefined)?.reason });
  };
  const add = (name: number): Pending =>
    proposals.add(newEntry(EntryKind.put, Buffer.alloc(3)), {}, respond, name, 0);
  return { clock, proposals, answers, add };
}

describe('waiting proposals', () => {
  it('are found by what stands in their entry, once, and only at the origin', () => {
    const { proposals, add } = setup();
    const pending = add(1);
    expect(entryOrigin(pending.data)).toBe(0xfedcba98);
    expect(entrySequence(pending.data)).toBe(pending.sequence);
    expect(proposals.take(1, pending.sequence)).toBeUndefined();
    expect(proposals.take(0xfedcba98, pending.sequence)).toBe(pending);
    expect(proposals.take(0xfedcba98, pending.sequence)).toBeUndefined();
    expect(proposals.size).toBe(0);
  });

  it('time out in order, and only those that waited long enough', async () => {
    const { clock, proposals, answers, add } = setup();
    add(1);
    await clock.run(3000);
    add(2);
    await clock.run(7000);
    proposals.expire((startMs) => {
      expect(startMs).toBeLessThan(clock.nowMs());
      return 'TIMEOUT';
    });
    expect(answers).toEqual([{ name: 1, error: 'TIMEOUT' }]);
    await clock.run(10_000);
    proposals.expire((startMs) => {
      expect(startMs).toBeLessThan(clock.nowMs());
      return 'TIMEOUT';
    });
    expect(answers.length).toBe(2);
  });

  it('all end when the node stops', () => {
    const { proposals, answers, add } = setup();
    for (let i = 0; i < 5000; i++) add(i);
    proposals.failAll('STOPPED');
    expect(answers.map(({ name }) => name)).toEqual([...Array(5000).keys()]);
    expect(proposals.size).toBe(0);
  });

  it('behave like a map, however many wait and in whatever order they come back', () => {
    const operation = fc.oneof(
      fc.record({ add: fc.integer({ min: 1, max: 3000 }) }),
      fc.record({ take: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const { proposals, add } = setup();
        const waiting = new Map<number, Pending>();
        for (const one of operations) {
          if ('add' in one) {
            for (let i = 0; i < one.add; i++) {
              const pending = add(i);
              waiting.set(pending.sequence, pending);
            }
          } else {
            const sequences = [...waiting.keys()];
            const sequence = sequences[one.take % Math.max(1, sequences.length)] ?? 0;
            expect(proposals.take(0xfedcba98, sequence)).toBe(waiting.get(sequence));
            waiting.delete(sequence);
          }
          expect(proposals.size).toBe(waiting.size);
        }
      }),
      { numRuns: 50 },
    );
  });
});
