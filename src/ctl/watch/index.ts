/** `watch`. */

import type { Command } from '../command/index.js';
import { watchCommand } from './watch.js';

export const watchCommands: readonly Command[] = [watchCommand];
