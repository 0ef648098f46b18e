import { describe, expect, it } from 'vitest';
import { checkLocks, type Grant } from './lock-checker.js';
import { deleted, Truth } from './truth.js';

function put(key: string, create: number) {
  return { type: 'put', key, value: '', create, version: 1, lease: 7n } as const;
}

/** a at 2, b at 3; a goes at 4, b at 5, a comes again at 6. */
function truth(): Truth {
  const made = new Truth();
  made.append([put('m/a', 2)]);
  made.append([put('m/b', 3)]);
  made.append([deleted('m/a')]);
  made.append([deleted('m/b')]);
  made.append([put('m/a', 6)]);
  return made;
}

function broken(grant: Partial<Grant>): string[] {
  const base = { kind: 'lock', name: 'm', key: 'm/a', create: undefined, revision: 2 } as const;
  return checkLocks([{ ...base, who: 'x', returnMs: 0, ...grant }], truth()).rules();
}

const twice = ['lock: one owner at a time'];

describe('the lock checker', () => {
  it('is content with owners whose key was the oldest', () => {
    expect(broken({})).toEqual([]);
    expect(broken({ revision: 3 })).toEqual([]);
    expect(broken({ key: 'm/b', revision: 4 })).toEqual([]);
    expect(broken({ kind: 'campaign', key: 'm/b', revision: 3, create: 3 })).toEqual([]);
  });

  it('finds one that was let in too early', () => {
    expect(broken({ key: 'm/b', revision: 3 })).toEqual(twice);
  });

  it('finds one whose key had gone, or is another one', () => {
    expect(broken({ revision: 4 })).toEqual(twice);
    expect(broken({ key: 'm/b', revision: 5 })).toEqual(twice);
    expect(broken({ kind: 'campaign', key: 'm/a', revision: 3, create: 3 })).toEqual(twice);
    expect(broken({ kind: 'campaign', key: 'm/b', revision: 5, create: 3 })).toEqual(twice);
  });
});
