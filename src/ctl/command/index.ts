/** What a command is, and how its line is read. */
export {
  type Command,
  type CommandContext,
  CommandError,
  type CtlIo,
  type CtlMachine,
  command,
  type ExitCode,
  exit,
} from './command.js';
export { durationText, parseDurationMs } from './duration.js';
export { type Flag, type FlagKind, type Flags, flag, type ValuesOf } from './flags.js';
export { type GlobalValues, globalFlags, ownGlobalFlags, withEnvironment } from './global.js';
export { goQuoted, LineError, type ParsedLine, parseLine, readFlag } from './parse.js';
export { usageText } from './usage.js';
