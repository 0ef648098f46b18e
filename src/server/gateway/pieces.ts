/** Answers as text, made piece by piece as the client takes them. */

import { type Clock, laneTurn } from '../../common/index.js';
import { type JsonMessage, writeJson } from '../../proto/index.js';

/** Bytes that are copied in one go. */
const copyBytesMax = 1024 * 1024;

/** Pieces of bytes as one; a long one is put together over several turns. */
export async function joined(parts: readonly Uint8Array[], clock: Clock): Promise<Buffer> {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  if (bytes <= copyBytesMax) return Buffer.concat(parts);
  const whole = Buffer.allocUnsafe(bytes);
  let at = 0;
  let turnEnd = copyBytesMax;
  for (const part of parts) {
    for (let from = 0; from < part.length; from += copyBytesMax) {
      const piece = part.subarray(from, from + copyBytesMax);
      whole.set(piece, at);
      at += piece.length;
      if (at < turnEnd) continue;
      turnEnd = at + copyBytesMax;
      await laneTurn(clock);
    }
  }
  return whole;
}

/** What is put around a message, and how its text is written. */
export interface Wrapping {
  readonly before: string;
  readonly after: string;
  readonly escapeHtml: boolean;
}

/** As Go's gateway: an answer by itself, and one of a stream. */
export const bare: Wrapping = { before: '', after: '', escapeHtml: false };
export const inStream: Wrapping = { before: '{"result":', after: '}\n', escapeHtml: true };

/**
 * The text of a message: at once if it is short, else in pieces, between which others have their
 * turn.
 */
export function textOf(
  bytes: Buffer,
  message: JsonMessage,
  wrapping: Wrapping,
  clock: Clock,
): string | AsyncGenerator<string, void, void> {
  const pieces = writeJson(bytes, message, wrapping);
  const first = pieces.next();
  const second = first.done === true ? first : pieces.next();
  const start = wrapping.before + (first.value ?? '');
  if (second.done === true) return start + wrapping.after;
  return rest(start, second.value, pieces, wrapping, clock);
}

async function* rest(
  start: string,
  second: string,
  pieces: Iterator<string, void, void>,
  wrapping: Wrapping,
  clock: Clock,
): AsyncGenerator<string, void, void> {
  yield start;
  let piece = second;
  for (;;) {
    const next = pieces.next();
    if (next.done === true) break;
    if (piece !== '') yield piece;
    piece = next.value;
    await laneTurn(clock);
  }
  yield piece + wrapping.after;
}
