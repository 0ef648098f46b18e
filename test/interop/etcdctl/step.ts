/** Writes a step as a command line. */

import type { EtcdctlStep } from '../../helpers/etcdctl.js';

/** A step from a command line; quotes are not interpreted, so no argument may hold a blank. */
export function step(line: string, more: Omit<EtcdctlStep, 'args'> = {}): EtcdctlStep {
  return { args: line.split(' '), ...more };
}
