/** Bytes that come in pieces, line by line. */

import { onAbort } from '../../common/index.js';
import { CommandError } from '../command/index.js';
import { lineBytesMax } from './limits.js';
import { interruptedError } from './store.js';

/**
 * The lines without their ends; the last one need not have one. Throws for one that is too long,
 * and when it is interrupted, also while it waits.
 */
export async function* linesOf(
  input: AsyncIterable<Uint8Array>,
  interrupted: AbortSignal,
): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  let held = 0;
  for await (const chunk of untilInterrupted(input, interrupted)) {
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

async function* untilInterrupted(
  input: AsyncIterable<Uint8Array>,
  interrupted: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const chunks = input[Symbol.asyncIterator]();
  for (;;) {
    if (interrupted.aborted) throw interruptedError();
    const next = await new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
      const takeBack = onAbort(interrupted, () => reject(interruptedError()));
      const settled = () => takeBack();
      chunks.next().then(resolve, reject).then(settled, settled);
    });
    if (next.done === true) return;
    yield next.value;
  }
}
