/**
 * A data directory damaged while the node was down (L-24, L-40): the next start
 * serves exactly what was there, or refuses with one line that names the place and a remedy. Never
 * a silent difference, and a second try does not turn a refusal into one.
 *
 * KVORUM_FAULT_SAMPLES: number of bits and cuts tried for each kind of file.
 */
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeDisk } from '../../src/server/index.js';
import { SimRandom } from '../../src/sim/index.js';
import { inspectWal, openLevelStore } from '../../src/storage/index.js';
import { exec } from '../helpers/exec.js';
import { freePort } from '../helpers/server.js';
import { kvorumBin } from '../helpers/tools.js';
import { fingerprint, putAll, refusalOf, startRealNode, writeSome } from './real-node.js';

const samples = Number(process.env.KVORUM_FAULT_SAMPLES ?? 12);
const seed = Number(process.env.KVORUM_FAULT_SEED ?? 1);
const flags = ['--snapshot-count', '100'];
const root = mkdtempSync(join(tmpdir(), 'kvorum-data-dir-'));

/** A data directory that may be copied, and what a node served from it. */
interface Original {
  readonly dir: string;
  readonly expected: string;
}

/** What came of a start on a damaged copy; `told`: it started, and reading all was an error. */
type Verdict = 'same' | 'refused' | 'told';

afterAll(() => rmSync(root, { recursive: true, force: true }));

async function build(name: string, runs: number, how: 'stopped' | 'killed'): Promise<Original> {
  const dir = join(root, name);
  let expected = '';
  for (let run = 0; run < runs; run++) {
    const node = await startRealNode(dir, ...flags);
    await writeSome(node, run * 150, 150);
    expected = await fingerprint(node);
    if (run === runs - 1 && how === 'killed') {
      // With nothing under way, a copy is what kill -9 leaves.
      while (node.node.store.flushed.index < node.node.loop.appliedIndex) await delay(5);
      cpSync(dir, `${dir}-copy`, { recursive: true });
    }
    await node.node.stop();
  }
  return { dir: how === 'killed' ? `${dir}-copy` : dir, expected };
}

let copies = 0;

/** Starts on a damaged copy, and once more if that is refused. */
async function verdictOf(
  original: Original,
  what: string,
  damage: (dir: string) => void,
): Promise<{ readonly verdict: Verdict; readonly line: string }> {
  const dir = join(root, `copy-${copies++}`);
  cpSync(original.dir, dir, { recursive: true });
  damage(dir);
  try {
    const first = await tryStart(original, dir, what);
    if (first.verdict === 'refused') await tryStart(original, dir, `${what}, second start`);
    return first;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function tryStart(original: Original, dir: string, what: string) {
  const node = await startRealNode(dir, ...flags).catch((error: unknown) => {
    const line = refusalOf(error);
    expect(line, what).toContain(dir);
    // A sentence on what is wrong, and one on what to do.
    expect(line, what).toMatch(/\S{3}.*\. \S.*\S/);
    return line;
  });
  if (typeof node === 'string') return { verdict: 'refused' as const, line: node };
  const found = await fingerprint(node).catch((error: unknown) => String(error));
  expect(node.fatal, what).toEqual([]);
  await node.node.stop();
  // An index inside a table may be damaged where only a look-up of that key comes by.
  if (/internal error, see the log/.test(found)) return { verdict: 'told' as const, line: '' };
  const isSame = found === original.expected;
  expect(isSame, `${what}: not the same data\n${found.slice(0, 300)}`).toBe(true);
  return { verdict: 'same' as const, line: '' };
}

function filesOf(original: Original, folder: string, pattern: RegExp): string[] {
  return readdirSync(join(original.dir, 'member', folder))
    .filter((name) => pattern.test(name))
    .map((name) => join('member', folder, name))
    .sort();
}

function flip(path: string, offset: number, bit: number): void {
  const bytes = readFileSync(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ (1 << bit);
  writeFileSync(path, bytes);
}

/** Bytes of a file that mean something: a log segment ends in zeros. */
async function usedBytes(original: Original, file: string): Promise<number> {
  const path = join(original.dir, file);
  if (!file.endsWith('.wal')) return readFileSync(path).length;
  let end = 0;
  for await (const record of inspectWal(nodeDisk, join(original.dir, 'member/wal'))) {
    if (record.path === path) end = record.offset;
  }
  return end;
}

async function lastFrame(original: Original) {
  let [path, offset, end] = ['', 0, 0];
  for await (const record of inspectWal(nodeDisk, join(original.dir, 'member/wal'))) {
    if (record.kind !== 'frame') continue;
    [path, offset, end] = [record.path, record.offset, record.offset + record.bytes];
  }
  return { file: relative(original.dir, path), offset, end };
}

const kinds = [
  ['log segments', 'wal', /\.wal$/],
  ['tables', 'kv', /\.ldb$/],
  ['database logs', 'kv', /\d\.log$/],
  ['manifests', 'kv', /^MANIFEST/],
  ['CURRENT', 'kv', /^CURRENT/],
] as const;

for (const how of ['stopped', 'killed'] as const) {
  describe(`a data directory of a node that was ${how}`, () => {
    let original: Original = { dir: '', expected: '' };
    const random = new SimRandom(seed);

    beforeAll(async () => {
      original = await build(how, 4, how);
    });

    it('is served as it was, undamaged', async () => {
      expect((await verdictOf(original, 'nothing', () => {})).verdict).toBe('same');
    });

    for (const [kind, folder, pattern] of kinds) {
      it(`with a flipped bit in its ${kind} (L-24)`, { timeout: 600_000 }, async () => {
        const seen = new Set<Verdict>();
        const files = filesOf(original, folder, pattern);
        expect(files.length).toBeGreaterThan(0);
        for (let i = 0; i < samples; i++) {
          const file = files[i % files.length] ?? '';
          const offset = random.below(await usedBytes(original, file));
          const bit = random.below(8);
          const what = `bit ${bit} of byte ${offset} of ${file}`;
          const { verdict } = await verdictOf(original, what, (dir) => {
            flip(join(dir, file), offset, bit);
          });
          seen.add(verdict);
        }
        if (how === 'killed' && kind === 'log segments') expect(seen).toContain('refused');
      });

      if (kind === 'log segments') {
        it('with a flipped bit in the last frame of its log: refuses (L-24)', {
          timeout: 600_000,
        }, async () => {
          const last = await lastFrame(original);
          for (let i = 0; i < samples; i++) {
            // The ends, where a sector begins, and anywhere.
            const anywhere = random.between(last.offset, last.end - 1);
            const sector = Math.min(Math.ceil(last.offset / 512) * 512, last.end - 1);
            const offset = [last.offset + 8, last.end - 1, sector][i] ?? anywhere;
            const what = `bit ${i % 8} of byte ${offset}`;
            const { verdict, line } = await verdictOf(original, what, (dir) => {
              flip(join(dir, last.file), offset, i % 8);
            });
            expect([what, verdict]).toEqual([what, 'refused']);
            expect(line).toContain(`${last.file} at offset ${last.offset}`);
          }
        });
      }

      it(`with its ${kind} cut off (L-25)`, { timeout: 600_000 }, async () => {
        const files = filesOf(original, folder, pattern);
        for (let i = 0; i < samples; i++) {
          const file = files[i % files.length] ?? '';
          const size = i < files.length ? 0 : random.below(await usedBytes(original, file));
          await verdictOf(original, `${file} cut at ${size}`, (dir) => {
            truncateSync(join(dir, file), size);
          });
        }
      });
    }

    it('with any one of its files gone', { timeout: 600_000 }, async () => {
      const files = ['wal', 'kv'].flatMap((folder) => filesOf(original, folder, /./));
      for (const file of files) {
        const { verdict, line } = await verdictOf(original, `${file} gone`, (dir) => {
          rmSync(join(dir, file));
        });
        // A table may be one that a compaction has replaced already.
        if (/\.wal$|CURRENT/.test(file)) expect([file, verdict]).toEqual([file, 'refused']);
        if (file.endsWith('CURRENT')) expect(line).toContain('CURRENT');
      }
    });

    it('with whole folders gone', { timeout: 600_000 }, async () => {
      for (const folder of ['wal', 'kv']) {
        const { verdict } = await verdictOf(original, `${folder} gone`, (dir) => {
          rmSync(join(dir, 'member', folder), { recursive: true });
        });
        expect([folder, verdict]).toEqual([folder, 'refused']);
      }
    });

    it('with two of its files swapped', { timeout: 600_000 }, async () => {
      const files = ['wal', 'kv'].flatMap((folder) => filesOf(original, folder, /./));
      for (const [i, a] of files.entries()) {
        for (const b of files.slice(i + 1)) {
          if (random.below(100) >= 35) continue;
          await verdictOf(original, `${a} and ${b} swapped`, (dir) => {
            renameSync(join(dir, a), join(dir, 'between'));
            renameSync(join(dir, b), join(dir, a));
            renameSync(join(dir, 'between'), join(dir, b));
          });
        }
      }
    });
  });
}

describe('a data directory with a saved index', () => {
  it('is not trusted blindly: damage shows at the start or when it is read', {
    timeout: 600_000,
  }, async () => {
    const dir = join(root, 'indexed');
    const node = await startRealNode(dir);
    // More keys than it takes to save the index at an orderly stop.
    for (let i = 0; i < 10_100; i += 100) {
      const keys = Array.from({ length: 100 }, (_, k) => `many/${i + k}`);
      await putAll(node, keys, 'v'.repeat(20));
    }
    await writeSome(node, 0, 100);
    const original = { dir, expected: await fingerprint(node) };
    await node.node.stop();
    expect((await verdictOf(original, 'nothing', () => {})).verdict).toBe('same');
    const random = new SimRandom(seed);
    const files = filesOf(original, 'kv', /\.ldb$|\d\.log$/);
    for (let i = 0; i < samples; i++) {
      const file = files[i % files.length] ?? '';
      const offset = random.below(await usedBytes(original, file));
      await verdictOf(original, `bit 0 of byte ${offset} of ${file}`, (copy) => {
        flip(join(copy, file), offset, 0);
      });
    }
  });
});

describe('a record that LevelDB lost without a word', () => {
  it('is missed, whatever kind it is of', async () => {
    const original = await build('lost', 1, 'stopped');
    const kv = await openLevelStore(join(original.dir, 'member/kv'));
    const range = { gte: Buffer.from('a'), lt: Buffer.from('{'), countMax: 9999, bytesMax: 1e9 };
    const keys = (await kv.scan(range)).map(([key]) => key);
    await kv.close();
    const starts = ['malarm', 'mlease', 'mmember', 'f', 'k', 'm'];
    for (const start of starts) {
      const key = keys.find((each) => each.toString('latin1').startsWith(start));
      if (key === undefined) continue;
      const dir = join(root, `lost-${start}`);
      cpSync(original.dir, dir, { recursive: true });
      const damaged = await openLevelStore(join(dir, 'member/kv'));
      await damaged.write([{ key }], { sync: true });
      await damaged.close();
      const { verdict } = await tryStart(original, dir, key.toString('latin1'));
      expect([start, verdict]).toEqual([start, 'refused']);
    }
    expect(keys.some((key) => key.toString().startsWith('mlease'))).toBe(true);
  });
});

describe('the program on a damaged directory', () => {
  it('ends with status 1 and one line that names the place and a remedy', async () => {
    const original = await build('program', 2, 'killed');
    const cases: ReadonlyArray<readonly [string, (dir: string) => void, RegExp]> = [
      [
        'a flipped bit in the log',
        (dir) => flip(join(dir, filesOf(original, 'wal', /wal$/)[0] ?? ''), 2000, 3),
        /\.wal.*\d+/,
      ],
      ['no CURRENT', (dir) => rmSync(join(dir, 'member/kv/CURRENT')), /CURRENT/],
      ['an empty log', (dir) => rmSync(join(dir, 'member/wal'), { recursive: true }), /wal/],
      [
        'an empty table',
        (dir) => truncateSync(join(dir, filesOf(original, 'kv', /ldb$/)[0] ?? ''), 0),
        /kv/,
      ],
    ];
    for (const [what, damage, place] of cases) {
      const dir = join(root, 'program-damaged');
      cpSync(original.dir, dir, { recursive: true });
      damage(dir);
      const url = `http://127.0.0.1:${await freePort()}`;
      const peer = ['--listen-peer-urls', 'http://127.0.0.1:0'];
      const urls = ['--listen-client-urls', url, '--advertise-client-urls', url, ...peer];
      const { code, stderr } = await exec(kvorumBin, ['--data-dir', dir, ...urls]);
      const lines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
      expect([what, code, lines.length]).toEqual([what, 1, 1]);
      expect(lines[0]).toMatch(place);
      expect(lines[0]).toMatch(/^kvorum: .*\. \S.*\.$/);
      expect(stderr).not.toMatch(/\n\s+at /);
      rmSync(dir, { recursive: true });
    }
  });
});
