/** What a command is, and how its line is read. */
export {
  type Command,
  type CommandContext,
  CommandError,
  type CtlIo,
  command,
  type ExitCode,
  exit,
  type LocalClusterPlan,
  type ProgramEnd,
  type TerminalKeys,
} from './command.js';
export { durationText, parseDurationMs } from './duration.js';
export { commandCalled, findCommand, suggestions } from './find.js';
export { type Flag, type FlagKind, type Flags, flag, type ValuesOf } from './flags.js';
export { type GlobalValues, globalFlags, ownGlobalFlags, withEnvironment } from './global.js';
export { countOf, parseGoInt } from './go-number.js';
export { goQuoted, LineError, type ParsedLine, parseLine, readFlag } from './parse.js';
export { flagTable, helpText, usageText } from './usage.js';
