/** `snapshot`: a store as a file in etcd's format. */

import { command } from '../command/index.js';
import { restore } from './restore.js';
import { save } from './save.js';
import { status } from './status.js';

export const snapshotCommand = command({
  name: 'snapshot',
  usage: '<subcommand>',
  short: 'Saves, looks into and restores snapshots',
  group: 'Cluster maintenance commands',
  commands: [save, status, restore],
});
