/** What the commands of a cluster do with files of snapshots, by the server's part. */

import { CommandError, type CtlSnapshots } from '../ctl/index.js';
import { nodeDisk, nodePorts, snapshotStatus } from '../server/index.js';
import { type RestoreIo, runRestoreCommand } from './restore/index.js';

/** On this machine's disk. */
export function snapshotsOf(io: RestoreIo): CtlSnapshots {
  return {
    async status(path) {
      try {
        return await snapshotStatus(nodeDisk, path);
      } catch (error) {
        throw new CommandError(messageOf(error, path));
      }
    },
    restore: (words) => runRestoreCommand(words, io, nodePorts),
  };
}

function messageOf(error: unknown, path: string): string {
  const { code } = error as { readonly code?: unknown };
  // As etcdutl.
  if (code === 'ENOENT') return `stat ${path}: no such file or directory`;
  return error instanceof Error ? error.message : String(error);
}
