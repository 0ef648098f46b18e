/** Commands about data that etcdctl does not have. */

import type { Command } from '../command/index.js';
import { diffCommand } from './diff.js';
import { duCommand } from './du.js';
import { exportCommand } from './export.js';
import { historyCommand } from './history.js';
import { importCommand } from './import.js';
import { renderCommand } from './render/render.js';
import { rollbackCommand } from './rollback.js';
import { treeCommand } from './tree.js';

export const dataCommands: readonly Command[] = [
  treeCommand,
  duCommand,
  historyCommand,
  diffCommand,
  rollbackCommand,
  exportCommand,
  importCommand,
  renderCommand,
];
