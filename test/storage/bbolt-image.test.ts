import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BboltImage, type ImageEntry } from '../../src/storage/bbolt/image.js';
import { itWith, type Tool, toolPath } from '../helpers/tools.js';

async function image(buckets: Record<string, ImageEntry[]>): Promise<Buffer> {
  const pieces: Array<{ offset: number; bytes: Buffer }> = [];
  const builder = new BboltImage(async (offset, bytes) => {
    pieces.push({ offset, bytes });
  });
  for (const [name, entries] of Object.entries(buckets)) await builder.addBucket(name, entries);
  const file = Buffer.alloc(await builder.finish());
  for (const { offset, bytes } of pieces) bytes.copy(file, offset);
  return file;
}

/** A put of `key`=`value` as etcd stores it: the first in the store has revision 2. */
function entry(main: number, key: string, value: Buffer): ImageEntry {
  const revision = Buffer.alloc(17);
  revision.writeBigUInt64BE(BigInt(main), 0);
  revision[8] = 0x5f;
  const length = Buffer.from([0x2a, ...varint(value.length)]);
  const fields = [0x10, ...varint(main), 0x18, ...varint(main), 0x20, 1];
  const keyField = [0x0a, ...varint(key.length), ...Buffer.from(key)];
  const record = Buffer.concat([Buffer.from(keyField), Buffer.from(fields), length, value]);
  return [revision, record];
}

function varint(n: number): number[] {
  const bytes = [];
  let rest = n;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}

describe('a bbolt image', () => {
  it('is made of whole pages, with two meta pages that name the same root', async () => {
    const file = await image({ key: [entry(2, 'a', Buffer.from('b'))], meta: [] });
    expect(file.length % 4096).toBe(0);
    expect(file.readUInt32LE(16)).toBe(0xed0cdaed);
    expect(file.readBigUInt64LE(16 + 16)).toBe(file.readBigUInt64LE(4096 + 16 + 16));
  });

  it('refuses keys out of order', async () => {
    const entries = [entry(3, 'a', Buffer.alloc(0)), entry(2, 'b', Buffer.alloc(0))];
    await expect(image({ key: entries })).rejects.toThrow('bucket keys ascend');
  });

  itWith(['etcdctl34'], 'is read by etcdctl 3.4: revision, keys and size', {}, () =>
    isReadBy('etcdctl34'),
  );
  itWith(['etcdutl37'], 'is read by etcdutl 3.7: revision, keys and size', {}, () =>
    isReadBy('etcdutl37'),
  );

  async function isReadBy(tool: Tool): Promise<void> {
    const entries: ImageEntry[] = [];
    for (let i = 2; i < 30_002; i++) {
      // Values longer than a page need overflow pages.
      entries.push(entry(i, `key-${i}`, Buffer.alloc(i % 1000 === 0 ? 10_000 : i % 300, 'v')));
    }
    const file = await image({ key: entries, meta: [], lease: [], alarm: [], members: [] });
    const dir = mkdtempSync(join(tmpdir(), 'kvorum-bbolt-'));
    try {
      const path = join(dir, 'snapshot.db');
      const seal = createHash('sha256').update(file).digest();
      writeFileSync(path, Buffer.concat([file, seal]));
      const out = execFileSync(toolPath(tool), ['snapshot', 'status', path, '-w', 'json']);
      const status = JSON.parse(out.toString()) as Record<string, number>;
      expect(status.revision).toBe(30_001);
      expect(status.totalKey).toBe(30_000);
      expect(status.totalSize).toBeGreaterThanOrEqual(file.length);
    } finally {
      rmSync(dir, { recursive: true });
    }
  }
});
