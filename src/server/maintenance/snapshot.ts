/**
 * Maintenance.Snapshot: the store as a bbolt file, in chunks, sealed with its SHA-256
 * (C-6.10). The image is first written beside the data, because its size has to be known before
 * its first byte is sent, and because a slow client must not hold a view of the store for hours.
 */

import { createHash } from 'node:crypto';
import {
  type Clock,
  type Disk,
  EtcdError,
  type Logger,
  snapshotChunkBytes,
  snapshotIdleMs,
} from '../../common/index.js';
import { snapshotResponse } from '../../proto/index.js';
import type { MethodHandler, ServerCall } from '../../transport/index.js';
import { type OpenImage, SnapshotImages } from '../backup/index.js';
import type { ClusterVersions } from '../cluster/index.js';
import type { Host } from '../feature/index.js';
import type { Histogram } from '../metrics/index.js';
import { drained, unaryMethod } from '../rpc/index.js';

/** The part of a member that snapshots are made from. */
export interface SnapshotNode {
  readonly ports: { readonly disk: Disk; readonly clock: Clock; readonly logger: Logger };
  readonly config: { readonly dataDir: string };
  readonly metrics: { readonly snapshot: Pick<Histogram, 'observe'> };
  readonly versions: Pick<ClusterVersions, 'storage'>;
}

export function snapshotMethod(host: Host, node: SnapshotNode): readonly [string, MethodHandler] {
  const { disk, clock, logger } = node.ports;
  const memberDir = `${node.config.dataDir}/member`;
  const images = new SnapshotImages({ store: host.store, disk, clock, logger, memberDir });
  const handle = async (_bytes: Buffer, call: ServerCall): Promise<void> => {
    const startMs = clock.nowMs();
    const isWanted = (): boolean => !call.cancelled;
    const image = await images.acquire(isWanted, (wake) => {
      call.onCancel = wake;
    });
    if (image === undefined) return;
    try {
      await sendImage(image, call, clock, node.versions.storage);
    } catch (error) {
      if (error instanceof EtcdError && error.reason === 'SNAPSHOT_NOT_TAKEN') {
        logger.warn('nobody takes this snapshot, giving it up', { client: call.peer.address });
      }
      throw error;
    } finally {
      images.release(image);
    }
    node.metrics.snapshot.observe((clock.nowMs() - startMs) / 1000);
  };
  return unaryMethod(host, '/etcdserverpb.Maintenance/Snapshot', handle, 'serverStream');
}

async function sendImage(
  { file, bytes }: OpenImage,
  call: ServerCall,
  clock: Clock,
  version: string,
): Promise<void> {
  const hash = createHash('sha256');
  for (let offset = 0; offset < bytes; ) {
    if (call.cancelled) return;
    const blob = await file.read(offset, Math.min(snapshotChunkBytes, bytes - offset));
    offset += blob.length;
    hash.update(blob);
    const chunk = snapshotResponse.encode({ remainingBytes: bytes - offset, blob, version });
    if (!call.send(chunk)) await drainedInTime(call, clock);
  }
  call.send(snapshotResponse.encode({ remainingBytes: 0, blob: hash.digest(), version }));
  call.end();
}

/** As {@link drained}; rejects with SNAPSHOT_NOT_TAKEN if nothing leaves for too long. */
async function drainedInTime(call: ServerCall, clock: Clock): Promise<void> {
  let isLate = false;
  const room = drained(call);
  let unsentBytes = call.backlogBytes;
  const look = (): void => {
    isLate = call.backlogBytes >= unsentBytes;
    unsentBytes = call.backlogBytes;
    if (isLate) call.onDrain?.();
    else timer = clock.after(snapshotIdleMs, look);
  };
  let timer = clock.after(snapshotIdleMs, look);
  await room;
  timer.cancel();
  if (isLate) throw new EtcdError('SNAPSHOT_NOT_TAKEN');
}
