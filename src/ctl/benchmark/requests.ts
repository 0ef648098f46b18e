/** Keys and values that are written. */

import type { RawClient } from '../../client/raw/index.js';
import { method } from '../../client/raw/index.js';
import { encodePutRequest } from '../../proto/index.js';
import { CommandError, exit } from '../command/index.js';

export interface KeyFlags {
  readonly prefix: string;
  readonly 'key-size': number;
  readonly 'key-space-size': number;
}

/** Number -> key. Throws CommandError if there are not so many of that size. */
export function keysOf(flags: KeyFlags, inOrder: boolean): (number: number) => string {
  const { prefix, 'key-size': bytes, 'key-space-size': space } = flags;
  if (space < 1) throw new CommandError('--key-space-size must be above 0', exit.badArguments);
  if (bytes < 1 || String(space - 1).length > bytes) {
    const said = `--key-size ${bytes} has no room for ${space} keys`;
    throw new CommandError(said, exit.badArguments);
  }
  const start = Buffer.from(prefix, 'utf8').toString('latin1');
  return (number) => {
    const which = inOrder ? number % space : scattered(number) % space;
    return `${start}${String(which).padStart(bytes, '0')}`;
  };
}

/** Far apart from the numbers beside it, and the same in each run (a step of Weyl's sequence). */
function scattered(number: number): number {
  return Math.floor((((number + 1) * 0.618_033_988_749_895) % 1) * 2 ** 40);
}

/** Bytes that do not compress to nothing. */
export function valueOfSize(bytes: number): Buffer {
  const value = Buffer.alloc(Math.max(0, bytes));
  for (let i = 0; i < value.length; i += 1) value[i] = 33 + (scattered(i) % 90);
  return value;
}

export async function put(client: RawClient, key: string, value: Buffer): Promise<void> {
  await client.call(method.put, 'write', encodePutRequest({ key, value }));
}
