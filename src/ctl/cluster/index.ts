/** The commands about members and their storage. */

import { alarmCommand } from './alarm.js';
import { defragCommand } from './defrag.js';
import { downgradeCommand } from './downgrade.js';
import { endpointCommand } from './endpoint.js';
import { memberCommand } from './member.js';
import { moveLeaderCommand } from './move-leader.js';

export const clusterCommands = [
  ...[alarmCommand, defragCommand, endpointCommand, moveLeaderCommand],
  ...[memberCommand, downgradeCommand],
];
