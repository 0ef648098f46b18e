/** Commands that show what is going on. */

import { diagnoseCommand } from './diagnose/index.js';
import { statusCommand } from './status/index.js';
import { topCommand } from './top/index.js';

export const lookCommands = [statusCommand, topCommand, diagnoseCommand];
