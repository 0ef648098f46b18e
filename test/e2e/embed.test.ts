import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createMemoryDisk } from '../../src/sim/member/memory-disk.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { describeWith } from '../helpers/tools.js';

interface Seen {
  readonly url: string;
  readonly value: string;
  readonly startMs: number;
}

interface Example {
  withSockets(use: (url: string) => Promise<string>): Promise<Seen>;
  inMemory(): Promise<Seen>;
}

/** Not imported by name: it is outside of what the compiler builds, and needs what it built. */
async function example(): Promise<Example> {
  const path = '../../examples/embed.ts';
  return import(/* @vite-ignore */ path) as Promise<Example>;
}

describeWith(['kvorum'], 'a server inside another program', () => {
  it('serves on a port of its own', async () => {
    const { withSockets } = await example();
    const seen = await withSockets(async (url) => {
      const client = new RawClient(url.replace('http://', ''));
      await client.put({ key: bytes('a'), value: bytes('1') });
      const { kvs } = await client.range({ key: bytes('a') });
      client.close();
      return kvs[0]?.value.toString() ?? '';
    });
    expect(seen.url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    expect(seen.value).toBe('1');
    await expect(fetch(`${seen.url}/health`)).rejects.toThrow();
  });

  it('serves without files and sockets', async () => {
    const { inMemory } = await example();
    const openFiles = () => readdirSync('/proc/self/fd').length;
    const before = process.platform === 'linux' ? openFiles() : 0;
    const seen = await inMemory();
    expect(seen.value).toBe('hello');
    process.stdout.write(`in memory: ${seen.startMs.toFixed(1)} ms to start\n`);
    const again = await inMemory();
    expect(again.value).toBe('hello');
    process.stdout.write(`in memory, again: ${again.startMs.toFixed(1)} ms to start\n`);
    if (process.platform === 'linux') expect(openFiles() - before).toBeLessThanOrEqual(2);
  });
});

describe('the disk in memory', () => {
  it('reads back what was written, in pieces and beyond pages', async () => {
    const disk = createMemoryDisk();
    const file = await disk.open('/d/f', 'create');
    await file.write(0, [Buffer.alloc(1_000_000)]);
    await file.write(65_530, [Buffer.from('across '), Buffer.from('pages')]);
    expect((await file.read(65_530, 12)).toString()).toBe('across pages');
    expect(await file.size()).toBe(1_000_000);
    expect(await file.read(999_998, 10)).toEqual(Buffer.alloc(2));
    await file.truncate(65_533);
    expect((await file.read(65_530, 10)).toString()).toBe('acr');
    await file.truncate(65_540);
    expect((await file.read(65_530, 10)).toString('latin1')).toBe('acr\0\0\0\0\0\0\0');
  });

  it('has names as a file system does', async () => {
    const disk = createMemoryDisk();
    await expect(disk.open('/d/a', 'read')).rejects.toMatchObject({ code: 'ENOENT' });
    await disk.open('/d/a', 'create');
    await disk.open('/d/sub/b', 'create');
    await expect(disk.open('/d/a', 'create')).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await disk.list('/d')).toEqual(['a', 'sub']);
    await disk.rename('/d/a', '/d/c');
    expect(await disk.list('/d')).toEqual(['c', 'sub']);
    await disk.remove('/d');
    expect(await disk.list('/d')).toEqual([]);
  });
});
