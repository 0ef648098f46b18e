/** Services: registered, looked up, and one instance picked. */

export { type Discovery, discovery } from './group.js';
export {
  atRandom,
  leastLoaded,
  type Picked,
  type Picker,
  picker,
  roundRobin,
  type Strategy,
  zoneAware,
} from './picker.js';
export { registry } from './registry.js';
export type {
  Instance,
  InvalidInstance,
  LiveService,
  RegisterArgument,
  RegisterOptions,
  Registration,
  RegistrationState,
  Registry,
  RegistryOptions,
  ServiceSnapshot,
} from './types.js';
