/** Status, a snapshot into a file with progress, and a mirror. */

import { createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Etcd, mirror, text } from '../../src/client/index.js';
import { type Example, runIfMain } from './run.js';

export const maintenanceExample: Example = async (endpoint, print) => {
  await using client = new Etcd(endpoint);
  const [member] = await client.cluster.members();
  const status = await client.maintenance.status({ endpoint });
  print(`${member?.name} is ${status.leader === member?.id ? 'leader' : 'follower'}`);

  // A file for `etcdctl snapshot restore`; throws if it does not agree with its hash.
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-example-'));
  const path = join(dir, 'snapshot.db');
  let last = 0;
  const snapshot = client.maintenance.snapshot({
    onProgress: ({ receivedBytes, totalBytes }) => {
      last = Math.round((100 * receivedBytes) / totalBytes);
    },
  });
  await pipeline(snapshot, createWriteStream(path));
  print(`snapshot ${last} %, ${statSync(path).size > 0 ? 'written' : 'empty'}`);
  rmSync(dir, { recursive: true });

  // Keep a copy of a prefix elsewhere, in this cluster or in another.
  const source = client.kv.namespace('/example/source/').as(text);
  const copy = client.kv.namespace('/example/copy/').as(text);
  await source.put('a', '1');
  const end = new AbortController();
  const { revision: until } = await source.put('b', '2');
  await mirror(source, copy, {
    prune: true,
    signal: end.signal,
    onProgress: ({ revision }) => {
      if (revision >= until) end.abort();
    },
  });
  const { kvs } = await copy.range({ all: true });
  print(`mirrored ${kvs.map(({ key, value }) => `${key}=${value}`).join(' ')}`);
};

runIfMain(import.meta.url, maintenanceExample);
