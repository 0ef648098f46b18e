/** Counts events of watches as cheaply as can be: the generator shares the machine. */

/** Number of `events` (field 11) in a WatchResponse, without decoding them. */
export function countEvents(message: Buffer): number {
  let events = 0;
  let pos = 0;
  while (pos < message.length) {
    const tag = message[pos] as number;
    pos += 1;
    if (tag === 0x5a) events += 1;
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[pos] as number;
      pos += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if ((tag & 7) === 2) pos += value;
  }
  return events;
}
