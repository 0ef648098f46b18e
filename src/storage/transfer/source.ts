/**
 * Reads a whole state for another member: stored records and meta records as they are, from a view
 * of the KvStore, page by page, so that neither memory nor the event loop feels it. Nothing is kept
 * between two pieces but the view: a position says all that the next piece depends on, so any
 * that was handed out may be asked for again.
 *
 * A position: mark u32 | kind u32 | number u32 | chain u32 | entries f64 | bytes f64 | last key |
 * crc u32. `mark` is the checksum of the state's mark: positions of another state are refused.
 */

import {
  assert,
  crc32c,
  type KvStore,
  type KvView,
  mvccSliceKeysMax,
  present,
  StorageError,
  scanPageBytes,
  snapshotPieceBytes,
} from '../../common/index.js';
import type { SnapshotMeta } from '../../raft/index.js';
import {
  decodeMark,
  markKey,
  metaEnd,
  metaStart,
  recordsEnd,
  recordsStart,
} from '../schema/index.js';
import {
  type PieceTotals,
  PieceWriter,
  pieceHeaderBytes,
  pieceKindData,
  pieceKindEnd,
} from './piece.js';
import type { SnapshotSource } from './types.js';

const positionHeadBytes = 32;
const crcBytes = 4;
const after = Buffer.from([0]);
/** Half of what others read at once: reading, copying and the checksum all come in one turn. */
const pageLimits = { countMax: mvccSliceKeysMax / 2, bytesMax: scanPageBytes / 2 } as const;

/** Of what is in `kv` now; `path` is where that is, for messages. */
export async function openSnapshotSource(kv: KvStore, path: string): Promise<SnapshotSource> {
  const view = kv.view();
  try {
    const lt = Buffer.concat([markKey, after]);
    const found = await view.scan({ gte: markKey, lt, countMax: 1, bytesMax: scanPageBytes });
    const sealedMark = present(found[0], 'the mark of the store')[1];
    const { index, term, configuration } = decodeMark(sealedMark, path);
    return new ViewSource(view, sealedMark, { index, term, configuration }, path);
  } catch (error) {
    await view.close();
    throw error;
  }
}

interface Place extends PieceTotals {
  /** The last piece was the last of all. */
  readonly atEnd: boolean;
  /** Empty: before the first. */
  readonly lastKey: Buffer;
}

class ViewSource implements SnapshotSource {
  readonly mark: SnapshotMeta;
  readonly #view: KvView;
  readonly #sealedMark: Buffer;
  readonly #markCrc: number;
  readonly #path: string;

  constructor(view: KvView, sealedMark: Buffer, mark: SnapshotMeta, path: string) {
    this.#view = view;
    this.#sealedMark = sealedMark;
    this.#markCrc = crc32c(sealedMark);
    this.mark = mark;
    this.#path = path;
  }

  async next(
    position: Uint8Array,
  ): Promise<{ readonly data: Buffer; readonly position: Buffer } | undefined> {
    const place = this.#decode(position);
    if (place.atEnd) return undefined;
    const writer = new PieceWriter(pieceKindData, place.number, place.chain);
    let { lastKey } = place;
    while (writer.length < snapshotPieceBytes) {
      const page = await this.#page(lastKey);
      const last = page[page.length - 1];
      if (last === undefined) break;
      assert(Buffer.compare(last[0], lastKey) > 0, 'pages go forward');
      writer.add(page);
      lastKey = last[0];
    }
    if (writer.length === pieceHeaderBytes) return this.#end(place);
    const { data, crc } = writer.finish();
    const next = {
      atEnd: false,
      lastKey,
      number: place.number + 1,
      chain: crc,
      entries: place.entries + writer.entries,
      bytes: place.bytes + writer.payloadBytes,
    };
    return { data, position: this.#encode(next) };
  }

  close(): Promise<void> {
    return this.#view.close();
  }

  /** What follows `lastKey`, first of the records, then of the meta records. */
  async #page(lastKey: Buffer): Promise<Array<readonly [Buffer, Buffer]>> {
    const gte = lastKey.length === 0 ? recordsStart : Buffer.concat([lastKey, after]);
    if (Buffer.compare(gte, recordsEnd) < 0) {
      const page = await this.#view.scan({ ...pageLimits, gte, lt: recordsEnd });
      if (page.length > 0) return page;
    }
    const from = Buffer.compare(gte, metaStart) < 0 ? metaStart : gte;
    return this.#view.scan({ ...pageLimits, gte: from, lt: metaEnd });
  }

  #end(place: Place): { readonly data: Buffer; readonly position: Buffer } {
    const writer = new PieceWriter(pieceKindEnd, place.number, place.chain);
    writer.addEnd(place, this.#sealedMark);
    const { data, crc } = writer.finish();
    const next = { ...place, atEnd: true, number: place.number + 1, chain: crc };
    return { data, position: this.#encode(next) };
  }

  #encode(place: Place): Buffer {
    const { lastKey } = place;
    const end = positionHeadBytes + lastKey.length;
    const position = Buffer.allocUnsafe(end + crcBytes);
    position.writeUInt32LE(this.#markCrc, 0);
    position.writeUInt32LE(place.atEnd ? pieceKindEnd : pieceKindData, 4);
    position.writeUInt32LE(place.number, 8);
    position.writeUInt32LE(place.chain, 12);
    position.writeDoubleLE(place.entries, 16);
    position.writeDoubleLE(place.bytes, 24);
    position.set(lastKey, positionHeadBytes);
    position.writeUInt32LE(crc32c(position, 0, 0, end), end);
    return position;
  }

  #decode(bytes: Uint8Array): Place {
    if (bytes.length === 0) {
      const chain = this.#markCrc;
      return { atEnd: false, lastKey: Buffer.alloc(0), number: 0, chain, entries: 0, bytes: 0 };
    }
    const position = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = position.length - crcBytes;
    const isSound =
      end >= positionHeadBytes && position.readUInt32LE(end) === crc32c(position, 0, 0, end);
    if (!isSound || position.readUInt32LE(0) !== this.#markCrc) {
      throw new StorageError('a position in a snapshot was asked for that is not of this one', {
        path: this.#path,
        remedy: 'The member that asked begins anew by itself.',
      });
    }
    return {
      atEnd: position.readUInt32LE(4) === pieceKindEnd,
      number: position.readUInt32LE(8),
      chain: position.readUInt32LE(12),
      entries: position.readDoubleLE(16),
      bytes: position.readDoubleLE(24),
      lastKey: Buffer.from(position.subarray(positionHeadBytes, end)),
    };
  }
}
