/**
 * A log that the version before wrote: it opens, goes on in a segment of its own, and what is not
 * whole at its end is told apart as well as its format allows.
 */

import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';

import { StorageError } from '../../../src/common/index.js';
import { recoverWal } from '../../../src/storage/wal/recover.js';
import { openWal } from '../../../src/storage/wal/wal.js';
import { contentsOf, dir, entry, newWorld, open, snapshot, type World } from './harness.js';

/**
 * Written by format 1: entries 1 and 2; 3 with 900 bytes; 4 to 6; 7 with 1500 bytes, which begins
 * at 2728. All of a value's bytes are its index.
 */
const segment = gunzipSync(
  Buffer.from(
    'H4sIAAAAAAACA+3UIU/DQBjG8ae93iZIMAiQlQj8IMHyDZbMs9RtZoCYQ+KHW0JQOILGoQkKMxx8APxIFTneHVku' +
      'QOoI7P9LKu7a3r15k+edzbvjl2lvcimzLSlbPF8J+8/T3iSuNyTlkvqDk6PjalR2dsphNTysRuXex/stSU7fC/d5' +
      'NVfX91eh3lNJs3l3vCupWKo33pU1tLn4P0/+z81n/XE/rXXton8T6rlzVtu5s/Nccp4D8KuW51Ga55j/x+uD25Dn' +
      'M2/Z3s8sz0WS5wKNhX7FPvqkjx6NhX495NbHVtLHFvBH/TSX43rwVK+HufzmbUa/estBO/muDQD4dwQAAAAAAAAA' +
      'AAAAAAAAAAAAwIp6BzzTMnIAQAAA',
    'base64',
  ),
);
const name = '0000000000000001-0000000000000001.wal';
const path = `${dir}/${name}`;

function worldWith(content: Buffer): World {
  const world = newWorld(31, 16_384);
  world.disk.plant(path, content);
  return world;
}

async function lastEntry(world: World, content: Buffer): Promise<number | StorageError> {
  world.disk.plant(path, content);
  try {
    return (await world.clock.runUntil(recoverWal(world.disk, dir, [name]))).shape.lastIndex;
  } catch (error) {
    expect(error).toBeInstanceOf(StorageError);
    return error as StorageError;
  }
}

const lastFrameAt = 2728;
const lastFrameEnd = 4272;

test('opens, goes on behind it in a new segment, and opens again', async () => {
  const world = worldWith(segment);
  const { wal, contents, isNew } = await open(world);
  expect(isNew).toBe(false);
  expect(contents.metadata.toString()).toBe('cluster 7, member 9');
  expect(contents.hardState).toEqual({ term: 3, vote: 5n, commit: 3 });
  expect(contents.entries.map((one) => one.data.length)).toEqual([40, 7, 900, 300, 300, 700, 1500]);
  for (const one of contents.entries) {
    expect(one.data.every((byte: number) => byte === one.index)).toBe(true);
  }
  await world.clock.runUntil(wal.append(undefined, [entry(8, 3, 2000)], true));
  world.disk.crash({ unsyncedPercent: 0, tornWrites: false });
  const again = await contentsOf(world);
  expect(again.entries.map((one) => one.index)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  // It is read as it was: only the new one is written.
  expect(world.disk.peek(path)).toEqual(segment);
  expect(world.disk.tree(dir).map(([each]) => each)).toEqual([
    path,
    `${dir}/0000000000000002-0000000000000008.wal`,
  ]);
});

test('a crash at any operation of the first start loses nothing', async () => {
  const whole = worldWith(segment);
  await contentsOf(whole);
  const operations = whole.disk.operations;
  for (let at = 0; at < operations; at++) {
    for (const unsyncedPercent of [0, 50, 100]) {
      const world = worldWith(segment);
      world.disk.haltAt(at);
      const { disk, random, segmentBytes } = world;
      void openWal(disk, dir, { random, segmentBytes });
      await world.clock.runAll();
      world.disk.crash({ unsyncedPercent, tornWrites: true });
      expect((await contentsOf(world)).entries.length, `operation ${at}`).toBe(7);
    }
  }
});

test('its file is not used again: what is left in it has no marks', async () => {
  const world = worldWith(segment);
  const { wal } = await open(world);
  for (let index = 8; index < 80; index++) {
    await world.clock.runUntil(wal.append(undefined, [entry(index, 3, 500)], true));
  }
  await world.clock.runUntil(wal.append({ term: 3, vote: 5n, commit: 70 }, [], true));
  await world.clock.runUntil(wal.markSnapshot(snapshot(70, 3)));
  await world.clock.runUntil(wal.release(70));
  for (const [each] of world.disk.tree(dir)) {
    expect(world.disk.peek(each).subarray(0, 512)).not.toEqual(segment.subarray(0, 512));
  }
  await world.clock.runUntil(wal.close());
  expect((await contentsOf(world)).entries.at(-1)?.index).toBe(79);
});

test('each flipped bit of its last frame is refused', async () => {
  const world = worldWith(segment);
  expect(await lastEntry(world, segment)).toBe(7);
  expect(segment.subarray(lastFrameEnd).every((byte) => byte === 0)).toBe(true);
  const content = Buffer.from(segment);
  for (let at = lastFrameAt; at < lastFrameEnd; at++) {
    for (let bit = 0; bit < 8; bit += at < lastFrameAt + 64 ? 1 : 3) {
      content[at] = (content[at] ?? 0) ^ (1 << bit);
      const found = await lastEntry(world, content);
      const what = `bit ${bit} of byte ${at - lastFrameAt}`;
      expect(found, what).toBeInstanceOf(StorageError);
      expect((found as StorageError).message, what).toContain(`${path} at offset ${lastFrameAt}`);
      content[at] = (content[at] ?? 0) ^ (1 << bit);
    }
  }
}, 60_000);

test('each set of its sectors that lacks one is a torn frame', async () => {
  const from = Math.floor(lastFrameAt / 512);
  const count = Math.ceil(lastFrameEnd / 512) - from;
  for (let set = 0; set < 2 ** count - 1; set++) {
    const content = Buffer.from(segment);
    for (let i = 0; i < count; i++) {
      const at = 512 * (from + i);
      if (((set >> i) & 1) === 0) content.fill(0, Math.max(at, lastFrameAt), at + 512);
    }
    const world = worldWith(content);
    const { wal, contents } = await open(world);
    expect(contents.entries.at(-1)?.index, set.toString(2)).toBe(6);
    await world.clock.runUntil(wal.append(undefined, [entry(7, 4, 1600)], true));
    await world.clock.runUntil(wal.close());
    const again = await contentsOf(world);
    expect(again.entries.at(-1)).toMatchObject({ index: 7, term: 4 });
  }
});
