/**
 * Output that holds up whoever writes, while its reader is behind. A reader that has gone away
 * (`kvorum export | head`) would hold it up for ever: then nothing is waited for any more, and what
 * runs is told, so that it ends.
 */

import type { Writable } from 'node:stream';

/** Writes to `stream`; resolves once the data may be forgotten. `gone` is called at most once. */
export function heldOutput(
  stream: Writable,
  gone: () => void,
): (data: string | Uint8Array) => Promise<void> | void {
  let isGone = false;
  let isWatched = false;
  let wake: (() => void) | undefined;
  const ended = (): void => {
    if (isGone) return;
    isGone = true;
    gone();
    wake?.();
  };
  return (data) => {
    if (!isWatched) stream.on('error', ended);
    isWatched = true;
    if (isGone || stream.write(data)) return;
    return new Promise<void>((resolve) => {
      wake = () => {
        stream.off('drain', resolve);
        resolve();
      };
      stream.once('drain', resolve);
    });
  };
}
