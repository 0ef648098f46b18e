/** All commands, in the order of the help. A group of them is a folder; see command/command.ts. */

import { authCommands } from './auth/index.js';
import { backupCommands } from './backup/index.js';
import { benchCommands } from './benchmark/index.js';
import { checkCommands } from './check/index.js';
import { clusterCommands } from './cluster/index.js';
import type { Command } from './command/index.js';
import { concurrencyCommands } from './concurrency/index.js';
import { contextCommand } from './context/index.js';
import { dataCommands } from './data/index.js';
import { kvCommands } from './kv/index.js';
import { leaseCommands } from './lease/index.js';
import { lookCommands } from './look/index.js';
import { replaceCommand } from './members/index.js';
import { mirrorCommands } from './mirror/index.js';
import { snapshotCommand } from './snapshot/index.js';
import { upCommands } from './up/index.js';
import { utilityCommands } from './utility/index.js';
import { versionCommands } from './version/index.js';
import { watchCommands } from './watch/index.js';

const groups: readonly Command[] = [
  ...lookCommands,
  ...benchCommands,
  ...upCommands,
  ...kvCommands,
  ...dataCommands,
  ...watchCommands,
  ...leaseCommands,
  ...mirrorCommands,
  ...clusterCommands,
  snapshotCommand,
  ...backupCommands,
  ...concurrencyCommands,
  ...authCommands,
  ...checkCommands,
  contextCommand,
  ...versionCommands,
  ...utilityCommands,
];

/** `member` has a subcommand of another group. */
export const commands: readonly Command[] = groups.map((group) =>
  group.name === 'member' ? { ...group, commands: [...group.commands, replaceCommand] } : group,
);
