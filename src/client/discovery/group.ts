/** All of discovery under one name, so that an editor lists it. */

import { atRandom, leastLoaded, picker, roundRobin, zoneAware } from './picker.js';
import { registry } from './registry.js';

/** What `discovery` has. */
export interface Discovery {
  readonly registry: typeof registry;
  readonly picker: typeof picker;
  readonly roundRobin: typeof roundRobin;
  readonly leastLoaded: typeof leastLoaded;
  readonly zoneAware: typeof zoneAware;
  readonly atRandom: typeof atRandom;
}

/** The registry of services, pickers and their strategies: `discovery.registry(client)`. */
export const discovery: Discovery = {
  registry,
  picker,
  roundRobin,
  leastLoaded,
  zoneAware,
  atRandom,
};
