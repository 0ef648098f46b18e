/** A failure as it is told: to scripts in etcdctl's words, to people with what is known beside. */

import { isEtcdError } from '../../client/index.js';
import type { CommandContext } from '../command/index.js';
import { etcdctlText } from './etcdctl-text.js';

/** What tells who reads what is said on stderr. */
export type Reader = Pick<CommandContext, 'program'> & {
  readonly io: { readonly terminal: { readonly err: boolean } };
};

/** Somebody reads it, and did not ask for etcdctl. */
export function isForPeople({ io, program }: Reader): boolean {
  return io.terminal.err && program !== 'etcdctl';
}

/** What stands behind `Error: `, or in brackets. */
export function failureText(error: unknown, reader: Reader): string {
  return isEtcdError(error) && isForPeople(reader) ? error.message : etcdctlText(error);
}
