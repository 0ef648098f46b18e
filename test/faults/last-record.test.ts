/**
 * Three members, and damage to the one record of one log that nothing follows. The write in it was
 * acknowledged by two: one that forgot it would make a majority with the third, which never had it.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { nodeDisk } from '../../src/server/index.js';
import { inspectWal } from '../../src/storage/index.js';
import { eventually } from '../helpers/eventually.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { type ServerProcess, startCluster } from '../helpers/server.js';

const key = bytes('acknowledged');

async function lastFrame(
  member: ServerProcess,
): Promise<{ path: string; offset: number; end: number }> {
  let found = { path: '', offset: 0, end: 0 };
  for await (const record of inspectWal(nodeDisk, join(member.dataDir, 'member/wal'))) {
    const { path, offset } = record;
    if (record.kind === 'frame') found = { path, offset, end: offset + record.bytes };
  }
  return found;
}

async function read(member: ServerProcess): Promise<string | undefined> {
  const client = new RawClient(member.endpoint);
  try {
    const { kvs } = await client.range({ key });
    return kvs?.[0]?.value.toString();
  } finally {
    client.close();
  }
}

test('a member with a flipped bit in the last record of its log does not come back and take part without it', {
  timeout: 180_000,
}, async () => {
  const members = await startCluster('kvorum', 3);
  try {
    const [a, b, c] = members as [ServerProcess, ServerProcess, ServerProcess];
    const client = new RawClient(a.endpoint);
    await eventually(async () => client.put({ key: bytes('warm'), value: bytes('up') }), 'a write');
    await c.kill();
    await eventually(async () => client.put({ key, value: bytes('kept') }), 'a write of two');
    await Promise.all([a.kill(), b.kill()]);
    client.close();

    const { path, offset, end } = await lastFrame(b);
    const content = readFileSync(path);
    expect(content.subarray(offset, end).includes('kept')).toBe(true);
    const at = content.indexOf('kept', offset);
    content[at] = (content[at] ?? 0) ^ 4;
    writeFileSync(path, content);

    const refusal = await b.start().then(
      () => 'it started',
      (error: unknown) => String(error),
    );
    expect(refusal).toContain('ended with code 1');
    expect(refusal).toContain(`the last frame of the write-ahead log is damaged`);
    expect(refusal).toContain(`${path} at offset ${offset}`);
    // Nothing was changed: it refuses again.
    expect(readFileSync(path).equals(content)).toBe(true);
    await expect(b.start()).rejects.toThrow('is damaged');

    // The other one that acknowledged it brings it back.
    await Promise.all([a.start(), c.start()]);
    expect(await eventually(() => read(c), 'a read')).toBe('kept');
  } finally {
    await Promise.all(members.map((member) => member.dispose()));
  }
});
