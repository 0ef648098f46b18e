/** `make-mirror`. */

import type { Command } from '../command/index.js';
import { mirrorCommand } from './mirror.js';

export const mirrorCommands: readonly Command[] = [mirrorCommand];
