/** `lock` and `elect`. */

import type { Command } from '../command/index.js';
import { electCommand } from './elect.js';
import { lockCommand } from './lock.js';

export const concurrencyCommands: readonly Command[] = [lockCommand, electCommand];
