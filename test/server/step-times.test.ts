/** When entries were durable and committed, looked up for those that were slow. */

import { describe, expect, it } from 'vitest';
import { IndexTimes } from '../../src/server/metrics/step-times.js';

describe('times by index', () => {
  it('are those of the first note at or behind an index', () => {
    const times = new IndexTimes();
    expect(times.at(1)).toBeUndefined();
    times.note(3, 10);
    times.note(7, 20);
    times.note(7, 25);
    times.note(9, 30);
    expect([1, 3, 4, 7, 8, 9].map((index) => times.at(index))).toEqual([10, 10, 20, 20, 30, 30]);
    expect(times.at(10)).toBeUndefined();
  });

  it('forget what is long ago, rather than tell a wrong time', () => {
    const times = new IndexTimes();
    for (let index = 1; index <= 10_000; index++) times.note(index, 2 * index);
    expect(times.at(10_000)).toBe(20_000);
    expect(times.at(9000)).toBe(18_000);
    expect(times.at(1)).toBeUndefined();
    expect(times.at(10_000 - 4096)).toBeUndefined();
  });

  it('begin anew where a new leader has overwritten the log', () => {
    const times = new IndexTimes();
    times.note(5, 10);
    times.note(8, 20);
    times.note(6, 30);
    expect([6, 7].map((index) => times.at(index))).toEqual([30, undefined]);
    times.note(9, 40);
    expect(times.at(8)).toBe(40);
  });
});
