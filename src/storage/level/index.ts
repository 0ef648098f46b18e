/** The KvStore on LevelDB, and the directories of a member that it is in. */

export {
  chooseGeneration,
  KvGenerations,
  type KvPlace,
  type OpenGeneration,
  openGenerations,
} from './generations.js';
export { KvGate, replaced } from './kv-gate.js';
export { openLevelStore } from './kv-level.js';
export { SizeMeter } from './size-meter.js';
