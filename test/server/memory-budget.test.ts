import { expect, it } from 'vitest';
import { logKeepBytesMax, unflushedBytesMax, valueCacheBytesMin } from '../../src/common/index.js';
import { memoryBudget } from '../../src/server/node/memory-budget.js';

const mb = 1024 * 1024;

it('is that of a large machine from two gigabytes on', () => {
  for (const bytes of [2048 * mb, 24_576 * mb, undefined]) {
    expect(memoryBudget(bytes, 0)).toMatchObject({
      unflushedBytes: unflushedBytesMax,
      logKeepBytes: logKeepBytesMax,
    });
  }
  expect(memoryBudget(24_576 * mb, 0).valueCacheBytes).toBe(3072 * mb);
});

it('leaves room in a small container, whatever is full', () => {
  for (const bytes of [128 * mb, 256 * mb, 512 * mb, 1024 * mb]) {
    const { valueCacheBytes, unflushedBytes, logKeepBytes } = memoryBudget(bytes, 0);
    expect(valueCacheBytes + unflushedBytes + logKeepBytes).toBeLessThanOrEqual(bytes / 2);
    expect(valueCacheBytes).toBeGreaterThanOrEqual(valueCacheBytesMin);
  }
});

it('keeps as many values as it was told to', () => {
  expect(memoryBudget(256 * mb, 100 * mb).valueCacheBytes).toBe(100 * mb);
});
