/**
 * The one contract of a command of the command line. A group of commands is a folder that exports a
 * list of them; `commands.ts` puts the lists together. A command is given where to print, what was
 * on the line, and a client that connects at its first call; it returns how to end.
 */

import type { Backup, BackupKey, BackupTarget } from '../../backup/index.js';
import type { RawClient } from '../../client/raw/index.js';
import type { Clock, Disk, Random, SrvTarget } from '../../common/index.js';
import { type ExitCode, exit } from './command-error.js';
import type { Flags, ValuesOf } from './flags.js';
import type { GlobalValues } from './global.js';

/** How a program ended that a command has run. */
export interface ProgramEnd {
  /** 0 to 255; 255 if a signal ended it, or if it could not be run. */
  readonly status: number;
  /** In Go's words: `exit status 3`; '' if it ended well. */
  readonly problem: string;
}

/** A file that is being written. */
export interface CtlFile {
  write(bytes: Uint8Array): Promise<void>;
  /** What was written is on the disk. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** What is changed among the user's files. */
export interface CtlFiles {
  /** A file that only this user may read; empty, if it was there. */
  create(path: string): Promise<CtlFile>;
  /** Takes the place of what was there. */
  rename(from: string, to: string): Promise<void>;
  /** Does nothing if it is not there. */
  remove(path: string): Promise<void>;
  /** And those above it; only this user may look into what is made. */
  makeFolder(path: string): Promise<void>;
}

/** What is done with snapshots beside saving them: the server's part knows how. */
export interface CtlSnapshots {
  /** What is in the file. Rejects with CommandError if it can't be read. */
  status(path: string): Promise<{
    readonly hash: number;
    readonly revision: number;
    readonly totalKey: number;
    readonly totalSize: number;
    readonly version: string;
  }>;
  /** `kvorum restore` with these words. */
  restore(words: readonly string[]): Promise<ExitCode>;
}

/** A file that was written beside the one that it is to replace. */
export interface StagedFile {
  readonly path: string;
  /** Takes its place, durably and at once. */
  commit(): Promise<void>;
  /** Takes it away. */
  discard(): Promise<void>;
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

/** The machine, for commands that work on files of their own. */
export interface CtlMachine {
  readonly disk: Disk;
  readonly random: Random;
  /**
   * Restores a backup into a directory, which must be new or empty and is removed again, and opens
   * it as a start would. Rejects with StorageError if that can't be done.
   */
  drill(request: {
    readonly target: BackupTarget;
    readonly backup: Backup;
    readonly key: BackupKey | undefined;
    readonly directory: string;
  }): Promise<DrillReport>;
}

/** What a drill has found. */
export interface DrillReport {
  readonly revision: number;
  readonly records: number;
  readonly leases: number;
  readonly users: number;
  /** The hash that the cluster had was computed again, and is the same. */
  readonly isHashVerified: boolean;
}

/** What the process is to a command. */
export interface CtlIo {
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Somebody sits in front of stdout, of stderr, or of stdin. */
  readonly terminal: {
    readonly out: boolean;
    readonly err: boolean;
    readonly in: boolean;
    readonly columns: number;
  };
  /** Bytes as they are; resolves once they may be forgotten, so that a slow reader holds us up. */
  stdout(data: string | Uint8Array): Promise<void> | void;
  stderr(text: string): void;
  /** What comes from stdin. */
  readonly stdin: AsyncIterable<Uint8Array>;
  /** Reads a line from the terminal without showing it. */
  askSecret(prompt: string): Promise<string>;
  readFile(path: string): Promise<Uint8Array>;
  /** The targets of DNS's SRV records under `name`; rejects if there are none. Left out: no DNS. */
  resolveSrv?(name: string): Promise<readonly SrvTarget[]>;
  /** Writes a file that may take the place of the one at `path`; `mode`: if there is none. */
  stageFile(path: string, data: Uint8Array, mode: number): Promise<StagedFile>;
  /** Runs a program with our stdout and stderr, without stdin; `env` is added to ours. */
  execute(words: readonly string[], env: CtlIo['env']): Promise<ProgramEnd>;
  readonly files: CtlFiles;
  /** Left out where there is no server's part. */
  readonly snapshots?: CtlSnapshots;
  /**
   * Writes a file that was not there, and makes the folders that it needs; only this user may read
   * it. Left out: nothing is written here.
   */
  writeNew?(path: string, data: Uint8Array): Promise<void>;
  /** Runs one until it is told to quit. Left out: no programs are started here. */
  runLocalCluster?(plan: LocalClusterPlan, io: CtlIo): Promise<ExitCode>;
  /** Left out: nobody sits in front of both ends. */
  readonly keys?: TerminalKeys;
  /**
   * Aborted by SIGINT or SIGTERM: what runs ends in order. A second signal ends the process, and so
   * does the first if no command has asked for this.
   */
  readonly interrupted: AbortSignal;
  /** Left out where commands may not touch it. */
  readonly machine?: CtlMachine;
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
  /** Subcommands; one that has some only shows its help itself, unless it runs, too. */
  readonly commands: readonly Command[];
  /** What etcdctl does not have: unknown when called `etcdctl`. */
  readonly beyondEtcdctl: boolean;
  /** Asks no cluster: which one is the current (`context`) does not matter. */
  readonly offline: boolean;
  /** It does something itself, with or without subcommands. */
  readonly runs: boolean;
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
  readonly offline?: boolean;
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
  const { name, short, beyondEtcdctl = false, flagsFirst = false, offline = false } = declared;
  return {
    ...{ name, aliases, usage, short, long, group, commands, beyondEtcdctl, flagsFirst },
    offline,
    flags: declared.flags ?? {},
    runs: run !== undefined,
    async run(context, args, flags, isSet) {
      return (await run?.(context, args, flags as ValuesOf<Declared>, isSet)) ?? exit.ok;
    },
  };
}
