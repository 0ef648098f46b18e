/** When the connections of a turn are flushed. */

import { describe, expect, it } from 'vitest';
import type { Clock } from '../../src/common/index.js';
import { TurnFlusher } from '../../src/transport/turn-flusher.js';

/** A clock whose turns end when that is said. */
function manual(): { readonly clock: Clock; endTurn(): void; readonly asked: number } {
  let due: Array<() => void> = [];
  let asked = 0;
  const afterTurn = (fire: () => void): void => {
    asked += 1;
    due.push(fire);
  };
  return {
    clock: { afterTurn } as Clock,
    endTurn() {
      const now = due;
      due = [];
      for (const fire of now) fire();
    },
    get asked() {
      return asked;
    },
  };
}

describe('TurnFlusher', () => {
  const flushed: string[] = [];
  const connection = (name: string) => ({ flush: () => void flushed.push(name) });
  const many = ['a', 'b', 'c', 'd', 'e'].map(connection);

  it('flushes once, after the turn', () => {
    flushed.length = 0;
    const turns = manual();
    const flusher = new TurnFlusher(turns.clock);
    for (const one of many) flusher.add(one);
    expect([flushed.length, turns.asked]).toEqual([0, 1]);
    turns.endTurn();
    expect(flushed.join('')).toBe('abcde');
    turns.endTurn();
    expect(flushed.length).toBe(5);
  });

  it('flushes a little that was gathered at its end, and asks for no turn', () => {
    flushed.length = 0;
    const turns = manual();
    const flusher = new TurnFlusher(turns.clock);
    flusher.gather(() => {
      flusher.add(connection('a'));
      flusher.flushFew();
      expect(flushed).toEqual(['a']);
      flusher.add(connection('b'));
    });
    expect([flushed.join(''), turns.asked]).toEqual(['ab', 0]);
  });

  it('leaves much for the end of the turn, also when the work fails', () => {
    flushed.length = 0;
    const turns = manual();
    const flusher = new TurnFlusher(turns.clock);
    const failing = (): void => {
      for (const one of many) flusher.add(one);
      flusher.flushFew();
      throw new Error('no');
    };
    expect(() => flusher.gather(failing)).toThrow('no');
    expect([flushed.length, turns.asked]).toEqual([0, 1]);
    flusher.add(connection('f'));
    turns.endTurn();
    expect(flushed.join('')).toBe('abcdef');
  });

  it('is not entered a second time by what it flushes', () => {
    flushed.length = 0;
    const turns = manual();
    const flusher = new TurnFlusher(turns.clock);
    flusher.add({
      flush() {
        flushed.push('a');
        flusher.add(connection('b'));
        flusher.flushFew();
        flushed.push('/');
      },
    });
    turns.endTurn();
    expect(flushed.join('')).toBe('a/');
    turns.endTurn();
    expect(flushed.join('')).toBe('a/b');
  });
});
