/** Lists of users, roles and permissions: of any length, so their answers are made in slices. */

import { Slice } from '../../common/index.js';
import type { EncodedHeader } from '../../proto/index.js';
import type { ServerCall } from '../../transport/index.js';
import type { Host } from '../feature/index.js';
import { headerAt, replyWith } from '../rpc/index.js';

/** Encoded at once; below a millisecond. */
const itemsOfPiece = 256;

/**
 * Answers with a message that repeats one field: parts of a message one after the other are the
 * message. `encode`: a part of it.
 */
export async function replyInPieces<T>(
  host: Host,
  call: ServerCall,
  items: readonly T[],
  encode: (items: readonly T[], header: EncodedHeader | undefined) => Buffer,
): Promise<void> {
  const header = headerAt(host, host.store.revision);
  if (items.length <= itemsOfPiece) {
    call.reply(encode(items, header));
    return;
  }
  // As they are now: they may change in between.
  const kept = items.slice();
  const pieces: Buffer[] = [];
  const slice = new Slice(host.clock);
  for (let at = 0; at < kept.length; at += itemsOfPiece) {
    if (call.cancelled) return;
    pieces.push(encode(kept.slice(at, at + itemsOfPiece), at === 0 ? header : undefined));
    if (slice.isOver()) await slice.rest();
  }
  replyWith(call, pieces);
}
