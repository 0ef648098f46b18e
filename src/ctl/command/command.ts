/**
 * The one contract of a command of the command line. A group of commands is a folder that exports a
 * list of them; `commands.ts` puts the lists together. A command is given where to print, what was
 * on the line, and a client that connects at its first call; it returns how to end.
 */

import type { RawClient } from '../../client/raw/index.js';
import type { Clock } from '../../common/index.js';
import type { Flags, ValuesOf } from './flags.js';
import type { GlobalValues } from './global.js';

/** As etcdctl ends; scripts ask for it. */
export const exit = {
  ok: 0,
  error: 1,
  badConnection: 2,
  invalidInput: 3,
  badFeature: 4,
  interrupted: 5,
  io: 6,
  badArguments: 128,
} as const;

/** How a command ends. */
export type ExitCode = number;

/** Ends the command with this message on stderr and this status. */
export class CommandError extends Error {
  constructor(
    message: string,
    readonly exitCode: ExitCode = exit.error,
  ) {
    super(message);
  }
}

/** A terminal whose keys are read one by one. */
export interface TerminalKeys {
  size(): { readonly columns: number; readonly rows: number };
  /** Calls with each key, as `q`, `left` or `ctrl-c`, until it is stopped. */
  read(pressed: (key: string) => void): { stop(): void };
}

/** A cluster on this machine, to play with. */
export interface LocalClusterPlan {
  readonly nodes: number;
  /** Undefined: a folder for temporary files, which goes with the cluster. */
  readonly dataDir: string | undefined;
  /** Undefined: 2379, 22379, 32379, ... */
  readonly basePort: number | undefined;
  /** What members log goes to the terminal as well. */
  readonly logs: boolean;
  /** Links between members lead through this process, which can cut them. */
  readonly wires: boolean;
  /** For every member. */
  readonly flags: readonly string[];
}

/** How a program ended that a command has run. */
export interface ProgramEnd {
  /** 0 to 255; 255 if a signal ended it, or if it could not be run. */
  readonly status: number;
  /** In Go's words: `exit status 3`; '' if it ended well. */
  readonly problem: string;
}

/** What the process is to a command. */
export interface CtlIo {
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Somebody sits in front of stdout, or of stdin. */
  readonly terminal: { readonly out: boolean; readonly in: boolean; readonly columns: number };
  /** Bytes as they are; resolves once they may be forgotten, so that a slow reader holds us up. */
  stdout(data: string | Uint8Array): Promise<void> | void;
  stderr(text: string): void;
  /** What comes from stdin. */
  readonly stdin: AsyncIterable<Uint8Array>;
  /** Reads a line from the terminal without showing it. */
  askSecret(prompt: string): Promise<string>;
  readFile(path: string): Promise<Uint8Array>;
  /**
   * Writes a file that was not there, and makes the folders that it needs; only this user may read
   * it. Left out: nothing is written here.
   */
  writeNew?(path: string, data: Uint8Array): Promise<void>;
  /** Runs one until it is told to quit. Left out: no programs are started here. */
  runLocalCluster?(plan: LocalClusterPlan, io: CtlIo): Promise<ExitCode>;
  /** Left out: nobody sits in front of both ends. */
  readonly keys?: TerminalKeys;
  /** What a web server answers to a GET. Rejects with an Error that says why there is nothing. */
  fetchText(url: string): Promise<string>;
  /** Runs a program with our stdout and stderr, without stdin; `env` is added to ours. */
  execute(words: readonly string[], env: CtlIo['env']): Promise<ProgramEnd>;
  /**
   * Aborted by SIGINT or SIGTERM: what runs ends in order. A second signal ends the process, and so
   * does the first if no command has asked for this.
   */
  readonly interrupted: AbortSignal;
}

/** What a command works with. */
export interface CommandContext {
  readonly io: CtlIo;
  /** The flags that all commands have. */
  readonly global: GlobalValues;
  /** The names of global flags that the line or the environment has set. */
  readonly isSet: ReadonlySet<string>;
  /** `etcdctl` if called so: then nothing is printed that etcdctl does not print. */
  readonly program: string;
  /** The program itself, with all its commands. */
  readonly root: Command;
  /**
   * Output for people: on a terminal, with the format `simple`, and not called `etcdctl`. Else the
   * output is etcdctl's, byte by byte.
   */
  readonly pretty: boolean;
  /** How many of the arguments stand before `--`; undefined: there is none. */
  readonly dashAt: number | undefined;
  /** Of the endpoints of the line; connects at the first call, and is closed for the command. */
  client(): Promise<RawClient>;
}

/** A command as it is declared; see {@link command}. */
export interface Command {
  readonly name: string;
  readonly aliases: readonly string[];
  /** What follows the name in the help: `[options] <key> [range_end]`. */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly short: string;
  /** Below it in its own help. */
  readonly long: string;
  /** The heading it stands under in the list. */
  readonly group: string;
  readonly flags: Flags;
  /** Subcommands; one that has some only shows its help itself. */
  readonly commands: readonly Command[];
  /** What etcdctl does not have: unknown when called `etcdctl`. */
  readonly beyondEtcdctl: boolean;
  /** Flags stop at the first argument (`lock NAME COMMAND --flag-of-command`). */
  readonly flagsFirst: boolean;
  run(
    context: CommandContext,
    args: readonly string[],
    flags: ValuesOf<Flags>,
    isSet: ReadonlySet<string>,
  ): Promise<ExitCode>;
}

interface Declaration<Declared extends Flags> {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly usage?: string;
  readonly short: string;
  readonly long?: string;
  readonly group?: string;
  readonly flags?: Declared;
  readonly commands?: readonly Command[];
  readonly beyondEtcdctl?: boolean;
  readonly flagsFirst?: boolean;
  /** Resolves with how to end; nothing: well. `isSet`: the flags that the line has. */
  readonly run?: (
    context: CommandContext,
    args: readonly string[],
    flags: ValuesOf<Declared>,
    isSet: ReadonlySet<string>,
  ) => Promise<ExitCode | undefined>;
}

/** Declares a command: what it is given has the types of its flags. */
export function command<Declared extends Flags = Record<never, never>>(
  declared: Declaration<Declared>,
): Command {
  const { run, usage = '', long = '', group = '', aliases = [], commands = [] } = declared;
  const { name, short, beyondEtcdctl = false, flagsFirst = false } = declared;
  return {
    ...{ name, aliases, usage, short, long, group, commands, beyondEtcdctl, flagsFirst },
    flags: declared.flags ?? {},
    async run(context, args, flags, isSet) {
      return (await run?.(context, args, flags as ValuesOf<Declared>, isSet)) ?? exit.ok;
    },
  };
}
