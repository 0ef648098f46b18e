/** The commands about users, roles and permissions. */

import { authCommand } from './auth.js';
import { roleCommand } from './role.js';
import { userCommand } from './user.js';

export const authCommands = [authCommand, userCommand, roleCommand];
