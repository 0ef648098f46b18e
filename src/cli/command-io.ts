/** What a command needs of the process that it is run in, so that a test can run it without one. */

import type { Clock } from '../common/index.js';
import type { NotifyResult, NotifyState } from '../server/index.js';

/** How a process ends: with a status, or as if that signal had ended it. */
export type ExitStatus = number | StopSignal;
export type StopSignal = 'SIGINT' | 'SIGTERM';

/** What a process is to the command. */
export interface CommandIo {
  readonly clock: Clock;
  /** Somebody sits at the other end of stdout. */
  readonly isTerminal: boolean;
  /** Lines for people. */
  stdout(text: string): void;
  stderr(text: string): void;
  readFile(path: string): string | Uint8Array;
  openAppend(path: string): number;
  absolute(path: string): string;
  /** Calls back at each SIGINT or SIGTERM. */
  onSignal(handler: (signal: StopSignal) => void): void;
  /** Calls back at each SIGHUP, which ends nothing. */
  onHangUp(handler: () => void): void;
  /** Calls back for what nobody caught. */
  onUncaught(handler: (error: unknown) => void): void;
  /** Ends the process now. */
  exit(status: ExitStatus): void;
  notify(state: NotifyState): Promise<NotifyResult>;
  readonly runtime: {
    readonly nodeVersion: string;
    readonly platform: string;
    readonly architecture: string;
  };
}
