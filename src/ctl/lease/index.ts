/** `lease` and its commands. */

import type { Command } from '../command/index.js';
import { leaseCommand } from './lease.js';

export const leaseCommands: readonly Command[] = [leaseCommand];
