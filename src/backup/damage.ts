/** What is wrong with a backup, in the one form that says what to do. */

import { StorageError } from '../common/index.js';

const remedyByDefault =
  "Restore to before it, or from another backup ('kvorum backup list' shows them), and take a " +
  'new one.';

/** A file of a backup that is not as it must be. */
export function damagedFile(name: string, what: string, remedy = remedyByDefault): StorageError {
  return new StorageError(`the backup can't be used: ${what}`, { path: name, remedy });
}
