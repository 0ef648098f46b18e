/**
 * Maintenance.Snapshot: the store as a bbolt file, in chunks, sealed with its SHA-256 (contract
 * section 6). The image is first written beside the data, because its size has to be known before
 * its first byte is sent, and because a slow client must not hold a view of the store for hours.
 */

import { createHash } from 'node:crypto';
import { type DiskFile, snapshotChunkBytes } from '../common/index.js';
import { snapshotResponse } from '../proto/index.js';
import type { MethodHandler, ServerCall } from '../transport/index.js';
import type { Node } from './node.js';
import type { RpcContext } from './rpc-context.js';
import { unaryMethod } from './rpc-unary.js';
import { writeSnapshotImage } from './snapshot-image.js';
import { storageVersion } from './versions.js';

export function snapshotMethod(rpc: RpcContext, node: Node): readonly [string, MethodHandler] {
  let next = 1;
  const handle = async (_bytes: Buffer, call: ServerCall): Promise<void> => {
    const { disk, clock } = node.ports;
    const startMs = clock.nowMs();
    const path = `${node.config.dataDir}/member/snapshot-${next++}.tmp`;
    const view = await rpc.store.snapshotView();
    try {
      const bytes = await writeSnapshotImage(disk, path, view).finally(() => view.close());
      const file = await disk.open(path, 'read');
      try {
        await sendFile(file, bytes, call);
      } finally {
        await file.close();
      }
    } finally {
      await disk.remove(path);
    }
    node.metrics.snapshot.observe((clock.nowMs() - startMs) / 1000);
  };
  return unaryMethod(rpc, '/etcdserverpb.Maintenance/Snapshot', handle, 'serverStream');
}

async function sendFile(file: DiskFile, bytes: number, call: ServerCall): Promise<void> {
  const hash = createHash('sha256');
  const version = storageVersion;
  for (let offset = 0; offset < bytes; ) {
    if (call.cancelled) return;
    const blob = await file.read(offset, Math.min(snapshotChunkBytes, bytes - offset));
    offset += blob.length;
    hash.update(blob);
    const chunk = snapshotResponse.encode({ remainingBytes: bytes - offset, blob, version });
    if (!call.send(chunk)) await drained(call);
  }
  call.send(snapshotResponse.encode({ remainingBytes: 0, blob: hash.digest(), version }));
  call.end();
}

/** Resolves when the stream has room again, or has no more use for it. */
export function drained(call: ServerCall): Promise<void> {
  if (call.cancelled) return Promise.resolve();
  return new Promise((resolve) => {
    call.onDrain = resolve;
    call.onCancel = resolve;
  });
}
