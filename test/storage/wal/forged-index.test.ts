import { describe, expect, it } from 'vitest';
import { LogShape } from '../../../src/storage/wal/shape.js';

describe('an entry with an index or a term that can not be (CVE-2020-15112)', () => {
  const shape = new LogShape();
  for (const index of [1, 2, 3]) shape.append(index, 2);
  shape.hardState = { term: 2, vote: 0n, commit: 2 };

  it.each([
    [5, 2, 'entry 5 does not follow entry 3'],
    [Number.MAX_SAFE_INTEGER, 2, 'does not follow entry 3'],
    [0, 2, 'entry 0 lies at or before the snapshot'],
    [2, 2, 'entry 2 is committed already'],
    [4, 1, 'the term of entry 4 goes back'],
  ])('is refused when a log is read, as when it is written: %d of term %d', (index, term, why) => {
    expect(shape.refuses(index, term)).toContain(why);
  });

  it('is taken where it is right', () => {
    expect(shape.refuses(4, 2)).toBeUndefined();
    expect(shape.refuses(3, 3)).toBeUndefined();
  });
});
