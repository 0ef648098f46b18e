/** Bytes that come in pieces, line by line. */

import { CommandError } from '../command/index.js';
import { lineBytesMax } from './limits.js';

/** The lines without their ends; the last one need not have one. Throws for one that is too long. */
export async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  let held = 0;
  for await (const chunk of input) {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      yield Buffer.concat([...pieces, rest.subarray(0, end)]);
      pieces = [];
      held = 0;
      rest = rest.subarray(end + 1);
    }
    if (rest.length === 0) continue;
    pieces.push(rest);
    held += rest.length;
    if (held > lineBytesMax) {
      throw new CommandError(`a line of more than ${lineBytesMax} bytes is none of an export`);
    }
  }
  if (held > 0) yield Buffer.concat(pieces);
}
