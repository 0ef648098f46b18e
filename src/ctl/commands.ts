/** All commands, in the order of the help. A group of them is a folder; see command/command.ts. */

import type { Command } from './command/index.js';
import { dataCommands } from './data/index.js';
import { kvCommands } from './kv/index.js';
import { leaseCommands } from './lease/index.js';
import { versionCommands } from './version/index.js';
import { watchCommands } from './watch/index.js';

export const commands: readonly Command[] = [
  ...kvCommands,
  ...dataCommands,
  ...watchCommands,
  ...leaseCommands,
  ...versionCommands,
];
