/** Configuration in layers, validated, followed and with its history. */

export { config } from './config.js';
export type {
  Config,
  ConfigEdit,
  ConfigLayer,
  ConfigOptions,
  ConfigProblem,
  ConfigSource,
  ConfigState,
  ConfigUpdateOptions,
  ConfigVersion,
  ConfigWriteOptions,
  ConfigWritten,
  HistoryOptions,
  PropertyOf,
} from './types.js';
