/** What a command is, and how its line is read. */
export { amountText, bytesText } from './amount.js';
export {
  type Command,
  type CommandContext,
  type CtlFile,
  type CtlFiles,
  type CtlIo,
  type CtlMachine,
  type CtlSnapshots,
  command,
  type LocalClusterPlan,
  type ProgramEnd,
  type StagedFile,
  type TerminalKeys,
} from './command.js';
export { CommandError, type ExitCode, exit } from './command-error.js';
export { durationText, nanosecondText, parseDurationMs } from './duration.js';
export { commandCalled, findCommand, suggestions } from './find.js';
export { type Flag, type FlagKind, type Flags, flag, type ValuesOf } from './flags.js';
export { type GlobalValues, globalFlags, ownGlobalFlags, withEnvironment } from './global.js';
export { countOf, parseGoInt } from './go-number.js';
export { goQuoted, LineError, type ParsedLine, parseLine, readFlag } from './parse.js';
export { flagTable, helpText, usageText } from './usage.js';
