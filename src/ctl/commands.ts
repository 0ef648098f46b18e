/** All commands, in the order of the help. A group of them is a folder; see command/command.ts. */

import { benchCommands } from './benchmark/index.js';
import { checkCommands } from './check/index.js';
import type { Command } from './command/index.js';
import { concurrencyCommands } from './concurrency/index.js';
import { kvCommands } from './kv/index.js';
import { leaseCommands } from './lease/index.js';
import { lookCommands } from './look/index.js';
import { mirrorCommands } from './mirror/index.js';
import { upCommands } from './up/index.js';
import { utilityCommands } from './utility/index.js';
import { versionCommands } from './version/index.js';
import { watchCommands } from './watch/index.js';

export const commands: readonly Command[] = [
  ...kvCommands,
  ...watchCommands,
  ...leaseCommands,
  ...mirrorCommands,
  ...concurrencyCommands,
  ...checkCommands,
  ...lookCommands,
  ...benchCommands,
  ...upCommands,
  ...versionCommands,
  ...utilityCommands,
];
