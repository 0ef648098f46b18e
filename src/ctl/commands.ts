/** All commands, in the order of the help. A group of them is a folder; see command/command.ts. */

import { authCommands } from './auth/index.js';
import { clusterCommands } from './cluster/index.js';
import type { Command } from './command/index.js';
import { contextCommand } from './context/index.js';
import { kvCommands } from './kv/index.js';
import { snapshotCommand } from './snapshot/index.js';
import { versionCommands } from './version/index.js';

export const commands: readonly Command[] = [
  ...kvCommands,
  ...clusterCommands,
  snapshotCommand,
  ...authCommands,
  contextCommand,
  ...versionCommands,
];
