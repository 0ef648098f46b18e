/** The revision in the header of any response, without decoding the rest. */

import { WireReader } from './wire-reader.js';

/**
 * `bytes` is the beginning of an encoded response, its header whole. 0: there is none, or none of a
 * revision.
 */
export function revisionOfResponse(bytes: Uint8Array): number {
  // The header is field 1, and stands in front (C-1.3).
  if (bytes[0] !== 0x0a) return 0;
  const r = new WireReader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  let revision = 0;
  r.tag();
  const outer = r.enter();
  while (r.more()) {
    const tag = r.tag();
    if (tag === 0x18) revision = r.int64();
    else r.skip(tag);
  }
  r.leave(outer);
  return revision;
}
