/** A restore drill: into a directory that is removed again, whatever comes of it. */

import { silentLogger } from '../../common/index.js';
import type { CtlMachine } from '../../ctl/index.js';
import {
  defaultConfig,
  nodeClock,
  nodeDisk,
  nodePorts,
  openNodeRandom,
  restoreBackup,
} from '../../server/index.js';

/** The machine for commands. */
export const nodeMachine: CtlMachine = {
  disk: nodeDisk,
  random: openNodeRandom(),
  async drill({ backup, directory, key, target }) {
    const config = defaultConfig('--data-dir', directory);
    const { openKvStore, random } = nodePorts(config, silentLogger);
    const ports = { clock: nodeClock, disk: nodeDisk, logger: silentLogger, openKvStore, random };
    try {
      const whole = { target, backup, key, upTo: undefined, bumpRevision: 0, config, ports };
      return await restoreBackup(whole);
    } finally {
      await nodeDisk.remove(directory);
    }
  },
};
