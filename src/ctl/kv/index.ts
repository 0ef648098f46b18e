/** `get`, `put`, `del`, `txn` and `compaction`. */

import type { Command } from '../command/index.js';
import { compactionCommand } from './compaction.js';
import { delCommand } from './del.js';
import { getCommand } from './get.js';
import { putCommand } from './put.js';
import { txnCommand } from './txn.js';

export const kvCommands: readonly Command[] = [
  getCommand,
  putCommand,
  delCommand,
  txnCommand,
  compactionCommand,
];
