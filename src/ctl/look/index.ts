/** Commands that show what is going on. */

import { statusCommand } from './status/index.js';
import { topCommand } from './top/index.js';

export const lookCommands = [statusCommand, topCommand];
