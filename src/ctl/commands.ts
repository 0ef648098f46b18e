/** All commands, in the order of the help. A group of them is a folder; see command/command.ts. */

import { backupCommands } from './backup/index.js';
import type { Command } from './command/index.js';
import { versionCommands } from './version/index.js';

export const commands: readonly Command[] = [...backupCommands, ...versionCommands];
