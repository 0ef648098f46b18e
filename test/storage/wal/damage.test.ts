import { describe, expect, test } from 'vitest';

import { StorageError } from '../../../src/common/index.js';
import { inspectWal, type WalRecord } from '../../../src/storage/wal/inspect.js';
import type { WalContents } from '../../../src/storage/wal/types.js';
import { asExpected, contentsOf, dir, entry, newWorld, open, type World } from './harness.js';

interface FrameAt {
  readonly path: string;
  readonly offset: number;
  readonly end: number;
  /** Entries in the log once this frame is read. */
  readonly entries: number;
}

interface Log {
  readonly world: World;
  readonly frames: readonly FrameAt[];
  readonly files: ReadonlyMap<string, Buffer>;
  readonly contents: WalContents;
}

async function records(world: World): Promise<WalRecord[]> {
  const result: WalRecord[] = [];
  const reading = (async () => {
    for await (const record of inspectWal(world.disk, dir)) result.push(record);
  })();
  await world.clock.runUntil(reading);
  return result;
}

async function makeLog(segmentBytes: number, batches: number): Promise<Log> {
  const world = newWorld(11, segmentBytes);
  const { wal } = await open(world);
  for (let i = 0; i < batches; i++) {
    const index = 2 * i + 1;
    const hardState = { term: 3, vote: 2n ** 63n + 5n, commit: index - 1 };
    const two = [entry(index, 3, 40 + i), entry(index + 1, 3, i)];
    await world.clock.runUntil(wal.append(hardState, two, true));
  }
  await world.clock.runUntil(wal.close());
  const frames: FrameAt[] = [];
  let entries = 0;
  for (const record of await records(world)) {
    const { path, offset } = record;
    if (record.kind === 'frame') {
      frames.push({ path, offset, end: offset + record.bytes, entries });
    } else if (record.kind === 'entry') {
      entries += 1;
      const frame = frames.pop();
      if (frame !== undefined) frames.push({ ...frame, entries });
    }
  }
  const files = new Map(world.disk.tree(dir).map(([path]) => [path, world.disk.peek(path)]));
  return { world, frames, files, contents: await contentsOf(world) };
}

function restore(log: Log): void {
  for (const [path] of log.world.disk.tree(dir)) {
    if (!log.files.has(path)) log.world.disk.unplant(path);
  }
  for (const [path, bytes] of log.files) log.world.disk.plant(path, bytes);
}

function prefixOf(contents: WalContents, count: number): readonly string[] {
  return asExpected(contents).entries.slice(0, count);
}

/** Opens a damaged log: either its first entries are all there is, or a StorageError. */
async function tryOpen(world: World): Promise<WalContents | StorageError> {
  try {
    return await contentsOf(world);
  } catch (error) {
    expect(error).toBeInstanceOf(StorageError);
    return error as StorageError;
  }
}

describe('a log cut at any byte of its last two frames (L-25)', () => {
  test('truncated: is refused, since a segment never shrinks', async () => {
    const log = await makeLog(16_384, 6);
    const [first, last] = log.frames.slice(-2);
    if (first === undefined || last === undefined) throw new Error();
    const bytes = log.files.get(last.path) ?? Buffer.alloc(0);
    for (let cut = first.offset; cut <= last.end; cut++) {
      restore(log);
      log.world.disk.plant(last.path, bytes.subarray(0, cut));
      await expect(contentsOf(log.world)).rejects.toThrow(`${last.path} at offset ${cut}`);
    }
  });

  // last-frame.test.ts tells the two apart; here it is what comes of either.
  for (const how of ['zeros behind the cut', 'other bytes behind the cut'] as const) {
    test(how, async () => {
      const log = await makeLog(16_384, 6);
      const [before, first, last] = log.frames.slice(-3);
      if (before === undefined || first === undefined || last === undefined) throw new Error();
      const bytes = log.files.get(last.path) ?? Buffer.alloc(0);
      let refusals = 0;
      for (let cut = first.offset; cut <= last.end; cut++) {
        const content = Buffer.from(bytes);
        content.fill(how === 'zeros behind the cut' ? 0 : 0xa5, cut, last.end);
        restore(log);
        log.world.disk.plant(last.path, content);
        // Zeros over zeros change nothing, so whole is what has the bytes that it had.
        const isWhole = (frame: FrameAt): boolean =>
          content.subarray(0, frame.end).equals(bytes.subarray(0, frame.end));
        const whole = isWhole(last) ? last : isWhole(first) ? first : before;
        const result = await tryOpen(log.world);
        if (result instanceof StorageError) {
          refusals += 1;
          const damaged = whole === before ? first : last;
          expect([result.path, result.offset]).toEqual([last.path, damaged.offset]);
          continue;
        }
        expect(asExpected(result).entries, `cut at ${cut}`).toEqual(
          prefixOf(log.contents, whole.entries),
        );
        if (cut === last.end) expect(result.tornBytes).toBe(0);
        // The log goes on behind the cut, and nothing of what was cut comes back.
        const { wal } = await open(log.world);
        const next = entry(result.entries.length + 1, 4, cut % 50);
        await log.world.clock.runUntil(wal.append(undefined, [next], true));
        await log.world.clock.runUntil(wal.close());
        const again = await contentsOf(log.world);
        expect(again.entries.length).toBe(result.entries.length + 1);
        expect(again.tornBytes).toBe(0);
      }
      expect(refusals).toBeGreaterThan(100);
    });
  }

  test('the bytes that were cut are counted', async () => {
    const world = newWorld(15, 16_384);
    const { wal } = await open(world);
    await world.clock.runUntil(wal.append(undefined, [entry(1, 1, 1500)], true));
    await world.clock.runUntil(wal.close());
    const last = (await records(world)).filter((record) => record.kind === 'frame').at(-1);
    if (last === undefined) throw new Error('no frames');
    world.disk.plant(last.path, world.disk.peek(last.path).fill(0, 1024, 1536));
    const contents = await contentsOf(world);
    expect(contents.entries).toEqual([]);
    expect(contents.tornBytes).toBeGreaterThan(1500);
    // Whole sectors.
    expect(contents.tornBytes).toBeLessThan(last.bytes + 512);
  });
});

describe('a flipped bit (L-24, CVE-2020-15106)', () => {
  async function check(log: Log, path: string, offset: number, bit: number): Promise<void> {
    const at = `${path} ${offset} bit ${bit}`;
    const index = log.frames.findIndex((frame) => {
      return frame.path === path && frame.offset <= offset && offset < frame.end;
    });
    const frame = log.frames[index];
    restore(log);
    log.world.disk.flipBit(path, offset, bit);
    const result = await tryOpen(log.world);
    if (frame === undefined) {
      // In no frame: nothing is lost.
      expect(asExpected(result as WalContents).entries, at).toEqual(prefixOf(log.contents, 1e9));
    } else {
      expect(result, at).toBeInstanceOf(StorageError);
      const error = result as StorageError;
      expect(error.path, at).toBe(path);
      expect(error.offset, at).toBe(frame.offset);
      expect(error.remedy.length, at).toBeGreaterThan(20);
      expect(error.message).toContain(`${path} at offset ${frame.offset}`);
    }
  }

  // Segments with a few frames each; then a log of one segment, where all is in the last.
  const sizes = [
    [1024, 14],
    [16_384, 8],
  ] as const;

  test.each(sizes)('in a length: refuses to start, in the last frame too', async (...size) => {
    const log = await makeLog(...size);
    expect(log.files.size > 2).toBe(size[0] === 1024);
    for (const frame of log.frames) {
      for (let bit = 0; bit < 32; bit++) {
        await check(log, frame.path, frame.offset + 8 + (bit >> 3), bit & 7);
      }
    }
  });

  test.each(sizes)('in the length of an item: the same', async (...size) => {
    const log = await makeLog(...size);
    for (const frame of log.frames) {
      for (let bit = 0; bit < 32; bit++) {
        await check(log, frame.path, frame.offset + 16 + (bit >> 3), bit & 7);
      }
    }
  });

  test.each(sizes)('anywhere else: the same', async (...size) => {
    const log = await makeLog(...size);
    const { random } = log.world;
    for (let i = 0; i < 1000; i++) {
      const [path, bytes] = random.pick([...log.files]);
      await check(log, path, random.below(bytes.length), random.below(8));
    }
  });

  test('on the disk is not reported as right later on', async () => {
    const log = await makeLog(1024, 14);
    const frame = log.frames[3];
    if (frame === undefined) throw new Error('no frames');
    log.world.disk.flipBit(frame.path, frame.offset + 30, 0);
    const before = log.world.disk.tree(dir);
    await expect(contentsOf(log.world)).rejects.toThrow(StorageError);
    await expect(contentsOf(log.world)).rejects.toThrow('offset');
    expect(log.world.disk.tree(dir)).toEqual(before);
  });
});

describe('whole files (L-39)', () => {
  test('a missing segment in the middle is named', async () => {
    const log = await makeLog(1024, 30);
    const paths = [...log.files.keys()].sort();
    expect(paths.length).toBeGreaterThan(3);
    log.world.disk.unplant(paths[1] ?? '');
    await expect(contentsOf(log.world)).rejects.toThrow(/no segment between .*0001.* and .*0003/);
  });

  test('a missing first segment is noticed though the others are whole', async () => {
    const log = await makeLog(1024, 30);
    const paths = [...log.files.keys()].sort();
    log.world.disk.unplant(paths[0] ?? '');
    await expect(contentsOf(log.world)).rejects.toThrow(/lacks entries after 0/);
  });

  test('an older version of the last but one segment is noticed', async () => {
    const log = await makeLog(1024, 30);
    const frames = log.frames.filter((frame) => frame.path === [...log.files.keys()].at(-2));
    const [path, end] = [frames.at(-1)?.path ?? '', frames.at(-1)?.offset ?? 0];
    const bytes = log.world.disk.peek(path);
    log.world.disk.plant(path, bytes.fill(0, end));
    await expect(contentsOf(log.world)).rejects.toThrow(`${path} at offset ${end}`);
  });

  test('a frame that went missing is noticed though its neighbours are whole', async () => {
    const world = newWorld(14, 16_384);
    const { wal } = await open(world);
    for (let term = 1; term <= 4; term++) {
      // A lost vote leaves no gap among the entries.
      await world.clock.runUntil(wal.append({ term, vote: 9n, commit: 0 }, [], true));
    }
    await world.clock.runUntil(wal.close());
    const frames = (await records(world)).filter((record) => record.kind === 'frame');
    const [frame, next] = frames.slice(2);
    if (frame === undefined || next === undefined) throw new Error('too few frames');
    const bytes = world.disk.peek(frame.path);
    const without = Buffer.concat([bytes.subarray(0, frame.offset), bytes.subarray(next.offset)]);
    const size = without.length + next.offset - frame.offset;
    world.disk.plant(frame.path, Buffer.concat([without, Buffer.alloc(size - without.length)]));
    await expect(contentsOf(world)).rejects.toThrow(`${frame.path} at offset ${frame.offset}`);
  });

  test('segments that changed names are noticed', async () => {
    const log = await makeLog(1024, 30);
    const [, second = '', third = ''] = [...log.files.keys()].sort();
    log.world.disk.plant(second, log.files.get(third) ?? Buffer.alloc(0));
    log.world.disk.plant(third, log.files.get(second) ?? Buffer.alloc(0));
    await expect(contentsOf(log.world)).rejects.toThrow(StorageError);
  });

  test('a segment of another log is noticed', async () => {
    const log = await makeLog(1024, 30);
    const other = newWorld(12, 1024);
    const { wal } = await open(other);
    for (let index = 1; index <= 60; index++) {
      await other.clock.runUntil(wal.append(undefined, [entry(index, 3)], true));
    }
    const [, name = ''] = [...log.files.keys()].sort();
    const foreign = other.disk.tree(dir).find(([path]) => path.includes('0000000000000002-'));
    log.world.disk.plant(name, other.disk.peek(foreign?.[0] ?? ''));
    await expect(contentsOf(log.world)).rejects.toThrow(StorageError);
  });

  test('an empty only segment is damage, not a new log', async () => {
    const log = await makeLog(16_384, 3);
    const [path = ''] = [...log.files.keys()];
    log.world.disk.plant(path, Buffer.alloc(0));
    await expect(contentsOf(log.world)).rejects.toThrow(`${path} at offset 0`);
  });
});

test('a frame inside of a value is not taken for one', async () => {
  const log = await makeLog(1024, 30);
  const world = newWorld(13, 16_384);
  const { wal } = await open(world);
  // A value made of a whole segment of another log, followed by damage to the frame that holds it.
  const [, hostile = Buffer.alloc(0)] = [...log.files][0] ?? [];
  await world.clock.runUntil(wal.append(undefined, [entry(1, 1)], true));
  await world.clock.runUntil(wal.append(undefined, [entry(2, 1, hostile)], true));
  await world.clock.runUntil(wal.close());
  const last = (await records(world)).filter((record) => record.kind === 'frame').at(-1);
  world.disk.flipBit(last?.path ?? '', (last?.offset ?? 0) + 9, 0);
  await expect(contentsOf(world)).rejects.toThrow(
    `the last frame of the write-ahead log is damaged (all of it was written, so it is not an ` +
      `interrupted write): ${last?.path} at offset ${last?.offset}`,
  );
});
