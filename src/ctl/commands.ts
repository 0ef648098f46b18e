/** All commands, in the order of the help. A group of them is a folder; see command/command.ts. */

import { benchCommands } from './benchmark/index.js';
import type { Command } from './command/index.js';
import { lookCommands } from './look/index.js';
import { upCommands } from './up/index.js';
import { versionCommands } from './version/index.js';

export const commands: readonly Command[] = [
  ...lookCommands,
  ...benchCommands,
  ...upCommands,
  ...versionCommands,
];
