/** `help`, `options` and `completion`. */

import type { Command } from '../command/index.js';
import { completionCommand } from './completion.js';
import { helpCommand, optionsCommand } from './help.js';

export const utilityCommands: readonly Command[] = [completionCommand, helpCommand, optionsCommand];
