/** How a password becomes the hash that is stored. */

import {
  EtcdError,
  passwordsAtOnceMax,
  passwordsWaitingMax,
  passwordsWaitingPerAddressMax,
} from '../../common/index.js';
import type { ServerCall } from '../../transport/index.js';
import { encodeHash, WorkQueue } from '../access/index.js';
import type { Host } from '../feature/index.js';

/** In which the passwords of a member wait to be hashed. */
export function passwordQueue(): WorkQueue {
  return new WorkQueue({
    atOnceMax: passwordsAtOnceMax,
    waitingMax: passwordsWaitingMax,
    waitingPerAddressMax: passwordsWaitingPerAddressMax,
  });
}

/** All that bcrypt looks at. */
export const passwordBytesMax = 72;

/** In base64, as requests carry it. Rejects with the EtcdError of a password that is too long. */
export async function hashedPassword(
  { config, passwords }: Pick<Host, 'config' | 'passwords'>,
  queue: WorkQueue,
  password: string,
  call: ServerCall,
): Promise<string> {
  if (Buffer.byteLength(password) > passwordBytesMax) throw new EtcdError('PASSWORD_TOO_LONG');
  return encodeHash(await queue.run(call, () => passwords.hash(password, config.bcryptCost)));
}

/** A hash that no password has, of the same cost as those of users. */
export function nobodysHash(cost: number): string {
  return `$2a$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`;
}
