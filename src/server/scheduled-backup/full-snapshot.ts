/** The store as a full snapshot for a backup, and what is known of it before. */

import { createHash } from 'node:crypto';
import type { FullFacts, KvHash } from '../../backup/index.js';
import { type Disk, EtcdError, type Revision, snapshotPieceBytes } from '../../common/index.js';
import type { MvccStore } from '../../storage/index.js';
import { writeSnapshotImage } from '../backup/index.js';
import { digestOf } from './history-follower.js';

export interface SnapshotParts {
  readonly store: Pick<MvccStore, 'hashKv' | 'history' | 'snapshotView'>;
  readonly disk: Disk;
  /** Of the image, while it is made and sent; gone afterwards, and at the next start. */
  readonly path: string;
}

/**
 * Makes the image and gives it to `use`; the file is gone when this resolves. Rejects with what
 * `use` rejects with, and with the reason of `signal`.
 */
export async function withFullSnapshot<T>(
  { disk, path, store }: SnapshotParts,
  signal: AbortSignal,
  use: (
    facts: Pick<FullFacts, 'revision' | 'digest' | 'hash'>,
    image: AsyncIterable<Uint8Array>,
  ) => Promise<T>,
): Promise<T> {
  const view = await store.snapshotView();
  try {
    const { compactRevision, revision } = view;
    const bytes = await writeSnapshotImage(disk, path, view, () => signal.throwIfAborted()).finally(
      () => view.close(),
    );
    const digest = await digestOf(store, revision);
    const hash = await hashOf(store, revision, compactRevision);
    return await use({ revision, digest, hash }, imageBytes(disk, path, bytes));
  } finally {
    await disk.remove(path);
  }
}

/** Undefined: it is compacted further by now, so that the hash is another one. */
async function hashOf(
  store: SnapshotParts['store'],
  revision: Revision,
  compactRevision: Revision,
): Promise<KvHash | undefined> {
  try {
    const { compactRevision: now, hash } = await store.hashKv(revision, false);
    return now === compactRevision ? { revision, compactRevision, hash } : undefined;
  } catch (error) {
    if (error instanceof EtcdError && error.reason === 'COMPACTED') return undefined;
    throw error;
  }
}

/** With the hash behind it, as Maintenance.Snapshot sends it. */
async function* imageBytes(disk: Disk, path: string, bytes: number): AsyncGenerator<Buffer> {
  const file = await disk.open(path, 'read');
  const hash = createHash('sha256');
  try {
    for (let offset = 0; offset < bytes; ) {
      const piece = await file.read(offset, Math.min(snapshotPieceBytes, bytes - offset));
      offset += piece.length;
      hash.update(piece);
      yield piece;
    }
    yield hash.digest();
  } finally {
    await file.close();
  }
}
