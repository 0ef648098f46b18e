/** `check` and its commands. */

import type { Command } from '../command/index.js';
import { checkCommand } from './check.js';

export const checkCommands: readonly Command[] = [checkCommand];
