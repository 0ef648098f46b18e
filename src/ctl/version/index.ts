/** `version`: which etcdctl this is the like of, and which release of ours it is. */

import { clusterVersion, etcdVersion } from '../../common/index.js';
import { command } from '../command/index.js';

/** As the API is numbered: without the patch. */
const apiVersion = clusterVersion.split('.').slice(0, 2).join('.');

export const versionCommands = [
  command({
    name: 'version',
    offline: true,
    short: 'Prints the version',
    group: 'Utility commands',
    async run({ io, program }) {
      await io.stdout(`${program} version: ${etcdVersion}\nAPI version: ${apiVersion}\n`);
      return undefined;
    },
  }),
];
