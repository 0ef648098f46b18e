/** Ids of members, which etcdctl has as hexadecimal digits. */

import { CommandError, exit, goQuoted } from '../command/index.js';

const idMax = 2n ** 64n - 1n;

/** The id that `text` is. Throws an Error with the words of Go's strconv. */
export function readId(text: string): bigint {
  const said = `strconv.ParseUint: parsing ${goQuoted(text)}`;
  if (!/^[0-9a-fA-F]+$/.test(text)) throw new Error(`${said}: invalid syntax`);
  const id = BigInt(`0x${text}`);
  if (id > idMax) throw new Error(`${said}: value out of range`);
  return id;
}

/** The only argument of a command about one member. Throws CommandError. */
export function memberIdOf(args: readonly string[]): bigint {
  const [text] = args;
  if (text === undefined || args.length !== 1) {
    throw new CommandError('member ID is not provided', exit.badArguments);
  }
  try {
    return readId(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `bad member ID arg (${reason}), expecting ID in Hex`;
    throw new CommandError(message, exit.badArguments);
  }
}

/** As Go's %x. */
export function hexId(id: bigint): string {
  return id.toString(16);
}

/** As Go's %16x: to the right. */
export function wideId(id: bigint): string {
  return hexId(id).padStart(16);
}
