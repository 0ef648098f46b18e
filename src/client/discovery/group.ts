/** All of discovery under one name, so that an editor lists it. */

import { atRandom, leastLoaded, picker, roundRobin, zoneAware } from './picker.js';
import { registry } from './registry.js';

/** The registry of services, pickers and their strategies: `discovery.registry(client)`. */
export const discovery = {
  ...{ registry, picker, roundRobin, leastLoaded, zoneAware, atRandom },
} as const;
