/**
 * The last frame of a log: torn by power loss, or damaged after it was acknowledged. A torn one
 * must never keep a member from starting, whichever sectors came to the disk; a damaged one must
 * never be cut off as if it were torn, because what it holds was promised to somebody (L-25, L-39).
 */

import { describe, expect, test } from 'vitest';

import { StorageError } from '../../../src/common/index.js';
import { SimRandom } from '../../../src/sim/index.js';
import { inspectWal, type WalRecord } from '../../../src/storage/wal/inspect.js';
import { recoverWal } from '../../../src/storage/wal/recover.js';
import { contentsOf, dir, entry, newWorld, open, snapshot, type World } from './harness.js';

const sectorBytes = 512;

interface Log {
  readonly world: World;
  /** The last segment, and what it held before and after the last frame was written. */
  readonly path: string;
  readonly before: Buffer;
  readonly after: Buffer;
  readonly frameAt: number;
  readonly frameEnd: number;
  /** The last entry without and with the last frame. */
  readonly lastBefore: number;
  readonly lastAfter: number;
}

interface Shape {
  /** Data of the entries in the last frame. */
  readonly last: readonly Uint8Array[];
  /** Bytes of data in the frame before, to move the last one. */
  readonly lead?: number;
  /** The segment's file was used before. */
  readonly recycled?: boolean;
  /** The last frame is the first of a new segment. */
  readonly first?: boolean;
}

async function records(world: World): Promise<WalRecord[]> {
  const result: WalRecord[] = [];
  const reading = (async () => {
    for await (const record of inspectWal(world.disk, dir)) result.push(record);
  })();
  await world.clock.runUntil(reading);
  return result;
}

function lastPath(world: World): string {
  return (
    world.disk
      .tree(dir)
      .map(([path]) => path)
      .filter((path) => path.endsWith('.wal'))
      .at(-1) ?? ''
  );
}

async function makeLog({ last, lead = 10, recycled, first }: Shape): Promise<Log> {
  const world = newWorld(21, 4096);
  const { wal } = await open(world);
  const { clock, disk, random } = world;
  let index = 0;
  const append = async (data: readonly Uint8Array[]): Promise<void> => {
    const term = 2;
    const entries = data.map((each) => entry(++index, term, each));
    await clock.runUntil(
      wal.append({ term, vote: 3n, commit: index - data.length }, entries, true),
    );
  };
  const isRecycled = async (): Promise<boolean> => {
    const segments = (await records(world)).filter((record) => record.kind === 'segment');
    return segments.at(-1)?.segment.isRecycled === true;
  };
  const advance = async (): Promise<void> => {
    const path = lastPath(world);
    while (lastPath(world) === path) await append([random.bytes(700)]);
    await clock.runUntil(wal.append({ term: 2, vote: 3n, commit: index }, [], true));
    await clock.runUntil(wal.markSnapshot(snapshot(index, 2)));
    await clock.runUntil(wal.release(index));
  };
  for (let i = 0; recycled === true && (i < 6 || !(await isRecycled())); i++) await advance();
  await append([Buffer.alloc(lead, 1)]);
  if (first === true) {
    // Up to where the last frame begins a segment.
    const size = last.reduce((sum, data) => sum + data.length + 24, 0);
    const free = async (): Promise<number> => {
      const path = lastPath(world);
      const frame = (await records(world)).filter((each) => each.path === path).at(-1);
      return disk.peek(path).length - (frame?.offset ?? 0);
    };
    while ((await free()) > size + 1040) await append([Buffer.alloc(200, 1)]);
    await clock.runAll();
  }
  const lastBefore = index;
  const files = new Map(disk.tree(dir).map(([path]) => [path, disk.peek(path)]));
  const spare = [...files.keys()].find((path) => path.endsWith('.tmp')) ?? '';
  await append(last);
  const path = lastPath(world);
  const frame = (await records(world)).filter((record) => record.kind === 'frame').at(-1);
  if (frame === undefined) throw new Error('no frame');
  expect(frame.path).toBe(path);
  expect(frame.offset === 0).toBe(first === true);
  const before = files.get(path) ?? files.get(spare) ?? Buffer.alloc(0);
  const after = Buffer.from(disk.peek(path));
  expect(before.length).toBe(after.length);
  if (recycled === true) expect(await isRecycled()).toBe(true);
  // The process ends here; the disk has all of it.
  disk.crash({ unsyncedPercent: 100, tornWrites: false });
  const frameEnd = frame.offset + frame.bytes;
  return {
    world,
    path,
    before: Buffer.from(before),
    after,
    frameAt: frame.offset,
    frameEnd,
    lastBefore,
    lastAfter: index,
  };
}

/** The last entry of the log with such a last segment, or why it is refused. */
async function lastEntry(log: Log, content: Buffer): Promise<number | StorageError> {
  const { disk, clock } = log.world;
  disk.plant(log.path, content);
  const names = disk.tree(dir).map(([path]) => path.slice(dir.length + 1));
  try {
    const found = await clock.runUntil(recoverWal(disk, dir, names));
    return found.shape.lastIndex;
  } catch (error) {
    expect(error).toBeInstanceOf(StorageError);
    return error as StorageError;
  }
}

function expectRefusal(log: Log, found: number | StorageError, what: string): void {
  expect(found, what).toBeInstanceOf(StorageError);
  const error = found as StorageError;
  expect(error.path, what).toBe(log.path);
  expect(error.offset, what).toBe(log.frameAt);
  expect(error.message, what).toContain(`${log.path} at offset ${log.frameAt}`);
  expect(error.remedy, what).toContain('Keep this directory');
}

const zeros = (length: number): Buffer => Buffer.alloc(length);
const filled = (length: number): Buffer => new SimRandom(length).bytes(length);

const shapes: ReadonlyArray<readonly [string, Shape]> = [
  ['one small record', { last: [filled(60)] }],
  ['one record that ends a sector', { last: [filled(300)], lead: 120 }],
  ['one record of zeros over many sectors', { last: [zeros(1400)] }],
  ['many records', { last: [filled(90), zeros(600), filled(1), zeros(0), filled(500)] }],
  [
    'many records in a file that was used before',
    { last: [filled(700), zeros(600)], recycled: true },
  ],
  ['the first frame of a segment', { last: [filled(200), zeros(500)], first: true }],
  [
    'the first frame of a segment whose file was used before',
    { last: [filled(200), zeros(500)], first: true, recycled: true },
  ],
];

describe('a flipped bit in a last frame that is all there', () => {
  test.each(shapes)(
    '%s: never loses what was acknowledged',
    async (_name, shape) => {
      const log = await makeLog(shape);
      expect(await lastEntry(log, log.after)).toBe(log.lastAfter);
      const content = Buffer.from(log.after);
      for (let at = log.frameAt; at < log.frameEnd; at++) {
        for (let bit = 0; bit < 8; bit++) {
          content[at] = (content[at] ?? 0) ^ (1 << bit);
          const found = await lastEntry(log, content);
          expectRefusal(log, found, `bit ${bit} of byte ${at - log.frameAt}`);
          content[at] = (content[at] ?? 0) ^ (1 << bit);
        }
      }
    },
    120_000,
  );

  test('wherever in a sector the frame begins and ends', async () => {
    for (let lead = 0; lead < 512; lead += 8) {
      const log = await makeLog({ last: [zeros(40)], lead });
      expect(await lastEntry(log, log.after), `lead ${lead}`).toBe(log.lastAfter);
      const content = Buffer.from(log.after);
      for (let at = log.frameAt; at < log.frameEnd; at += at - log.frameAt < 40 ? 1 : 5) {
        const bit = at % 8;
        content[at] = (content[at] ?? 0) ^ (1 << bit);
        const found = await lastEntry(log, content);
        expectRefusal(log, found, `lead ${lead}, byte ${at}`);
        content[at] = (content[at] ?? 0) ^ (1 << bit);
      }
    }
  }, 120_000);
});

test('other bytes in any place of a last frame that is all there never lose it', async () => {
  for (const [name, shape] of shapes) {
    const log = await makeLog(shape);
    const random = new SimRandom(5);
    for (let i = 0; i < 400; i++) {
      const content = Buffer.from(log.after);
      const at = random.between(log.frameAt, log.frameEnd - 1);
      const length = Math.min(random.between(1, 700), log.frameEnd - at);
      random.bytes(length).copy(content, at);
      const found = await lastEntry(log, content);
      if (!content.equals(log.after)) expectRefusal(log, found, `${name}: ${length} at ${at}`);
    }
  }
}, 60_000);

/** The last segment as it is when only the sectors in `kept` of the last write came to the disk. */
function torn(log: Log, kept: (sector: number) => boolean): Buffer {
  const content = Buffer.from(log.before);
  for (let at = 0; at < content.length; at += sectorBytes) {
    if (kept(at / sectorBytes)) log.after.copy(content, at, at, at + sectorBytes);
  }
  return content;
}

describe('a last write of which not all sectors came to the disk', () => {
  test.each(shapes)(
    '%s: every set of them starts without it, and goes on',
    async (_name, shape) => {
      const log = await makeLog(shape);
      const { world } = log;
      const from = Math.floor(log.frameAt / sectorBytes);
      const count = Math.ceil(log.frameEnd / sectorBytes) - from;
      // What ends in a sector before it was whole, and stays so.
      const differs = (sector: number): boolean => {
        const [a, b] = [sector * sectorBytes, (sector + 1) * sectorBytes];
        return log.before.compare(log.after, a, b, a, b) !== 0;
      };
      const files = new Map(world.disk.tree(dir).map(([path]) => [path, world.disk.peek(path)]));
      for (let set = 0; set < 2 ** count; set++) {
        for (const [path] of world.disk.tree(dir)) world.disk.unplant(path);
        for (const [path, bytes] of files) world.disk.plant(path, bytes);
        const kept = (sector: number): boolean =>
          sector >= from && sector < from + count && ((set >> (sector - from)) & 1) === 1;
        const isWhole = Array.from({ length: count }, (_, i) => from + i).every(
          (sector) => kept(sector) || !differs(sector),
        );
        world.disk.plant(log.path, torn(log, kept));
        const what = `sectors ${set.toString(2)}`;
        const opened = await open(world).catch((error: unknown) => {
          throw new Error(what, { cause: error });
        });
        const { entries, snapshot: mark } = opened.contents;
        const last = entries.at(-1)?.index ?? mark.index;
        expect(last, what).toBe(isWhole ? log.lastAfter : log.lastBefore);
        // The next one may be torn at the same place: nothing of this one must be left there.
        const next = [entry(last + 1, 3, filled(900))];
        const { clock, disk } = world;
        await clock.runUntil(opened.wal.append(undefined, next, true));
        disk.crash({ unsyncedPercent: 100, tornWrites: false });
        const again = await contentsOf(world);
        expect(again.entries.at(-1)?.index, what).toBe(last + 1);
        expect(again.tornBytes, what).toBe(0);
      }
    },
    120_000,
  );

  test('the same, twice in one place', async () => {
    for (const recycled of [false, true]) {
      const random = new SimRandom(9);
      for (let i = 0; i < 60; i++) {
        const log = await makeLog({ last: [filled(1800)], recycled, lead: 8 * (i % 64) });
        const { world } = log;
        let content = log.after;
        let previous = log.before;
        for (let round = 0; round < 3; round++) {
          const lost = random.between(
            Math.floor(log.frameAt / sectorBytes),
            Math.ceil(log.frameEnd / sectorBytes) - 1,
          );
          const kept = (sector: number): boolean => sector !== lost && random.chance(0.7);
          world.disk.plant(log.path, torn({ ...log, before: previous, after: content }, kept));
          const { wal, contents } = await open(world);
          const last = contents.entries.at(-1)?.index ?? contents.snapshot.index;
          expect(last, `${i}, round ${round}`).toBe(log.lastBefore);
          previous = Buffer.from(world.disk.peek(log.path));
          const other = [entry(last + 1, 2, filled(1800 + round))];
          await world.clock.runUntil(wal.append(undefined, other, true));
          content = Buffer.from(world.disk.peek(log.path));
          world.disk.crash({ unsyncedPercent: 100, tornWrites: false });
        }
      }
    }
  }, 60_000);
});

describe('a last frame cut off at any byte', () => {
  test.each(shapes)(
    '%s: is torn or refused, never half read',
    async (_name, shape) => {
      const log = await makeLog(shape);
      // Zeros between two frames are part of neither.
      const end = log.frameEnd;
      for (let cut = log.frameAt; cut < log.frameEnd; cut++) {
        const content = Buffer.from(log.after);
        log.before.copy(content, cut, cut);
        const found = await lastEntry(log, content);
        const what = `cut ${cut - log.frameAt} bytes into it`;
        const isSame = content.subarray(0, end).equals(log.after.subarray(0, end));
        const nextSector = Math.ceil(cut / sectorBytes) * sectorBytes;
        // Whole sectors are missing: power loss leaves this.
        const isTorn = !content.subarray(nextSector).equals(log.after.subarray(nextSector));
        if (isSame) expect(found, what).toBe(log.lastAfter);
        else if (isTorn && cut % sectorBytes === 0) expect(found, what).toBe(log.lastBefore);
        else if (found !== log.lastBefore) expectRefusal(log, found, what);
        // It does not leave a sector that has its mark and half of its bytes.
        if (!isSame && !isTorn && cut - Math.max(log.frameAt, nextSector - sectorBytes) >= 24) {
          expectRefusal(log, found, what);
        }
      }
    },
    60_000,
  );

  test('by an end of the file: refused, since the file had all its bytes before', async () => {
    const log = await makeLog({ last: [filled(60), filled(900)] });
    for (let cut = log.frameAt; cut < log.frameEnd; cut += 7) {
      const found = await lastEntry(log, log.after.subarray(0, cut));
      expect(found).toBeInstanceOf(StorageError);
      expect((found as StorageError).message).toContain(
        `was cut short, it had ${log.after.length} bytes: ${log.path} at offset ${cut}`,
      );
    }
  });
});

describe('a segment that was begun behind the last frame', () => {
  async function withNext(): Promise<{ log: Log; next: string }> {
    const log = await makeLog({ last: [filled(60), filled(900)] });
    const hex = (value: number): string => value.toString(16).padStart(16, '0');
    const next = `${dir}/${hex(2)}-${hex(log.lastAfter + 1)}.wal`;
    log.world.disk.plant(next, Buffer.alloc(4096));
    return { log, next };
  }

  test('and never used, is removed', async () => {
    const { log, next } = await withNext();
    const contents = await contentsOf(log.world);
    expect(contents.entries.at(-1)?.index).toBe(log.lastAfter);
    expect(log.world.disk.tree(dir).map(([path]) => path)).not.toContain(next);
  });

  test('shows that the last frame was whole: what looks torn is damage', async () => {
    const { log } = await withNext();
    const second = Math.ceil((log.frameAt + 1) / sectorBytes);
    log.world.disk.plant(
      log.path,
      torn(log, (sector) => sector !== second),
    );
    await expect(contentsOf(log.world)).rejects.toThrow(`${log.path} at offset ${log.frameAt}`);
  });

  test('shows that there was a last frame though nothing of it is left', async () => {
    const { log } = await withNext();
    log.world.disk.plant(log.path, log.before);
    await expect(contentsOf(log.world)).rejects.toThrow(
      `lacks entries (it ends at entry ${log.lastBefore}`,
    );
  });
});

test('a bit that flips where nothing was written yet is no reason not to start', async () => {
  const log = await makeLog({ last: [filled(60)] as readonly Uint8Array[] });
  for (let at = log.frameEnd; at < log.frameEnd + 2000; at++) {
    const content = Buffer.from(log.after);
    content[at] = 1 << (at % 8);
    expect(await lastEntry(log, content), `byte ${at}`).toBe(log.lastAfter);
  }
});
