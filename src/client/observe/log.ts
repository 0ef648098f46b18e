/** Events of a client as lines of a log: pino, console, or anything that has these methods. */

import type { ClientEvent, Hooks } from '../call/index.js';

/** What is needed of a logger; pino's and the server's are such. */
export interface LoggerLike {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

type Level = 'debug' | 'info' | 'warn';

const levels: Readonly<Record<ClientEvent['type'], Level>> = {
  connecting: 'debug',
  connected: 'info',
  connectFailed: 'warn',
  disconnected: 'info',
  endpoints: 'info',
  authenticated: 'info',
  authNotEnabled: 'warn',
  authFailed: 'warn',
  forgottenCommit: 'warn',
  retry: 'info',
  callEnded: 'debug',
  streamOpened: 'debug',
  streamEnded: 'debug',
  watchCreated: 'debug',
  watchPaused: 'info',
  watchEnded: 'debug',
  leaseRenewed: 'debug',
  leaseWarning: 'warn',
  leaseRecovered: 'info',
  leaseLost: 'warn',
  leaseStopped: 'debug',
};

/** For `hooks`: what happens goes to the logger; what failed, one level up. */
export function loggerHook(logger: LoggerLike): Hooks {
  return {
    onEvent(event) {
      const { type, ...fields } = event;
      const failed = 'error' in event && event.error !== undefined;
      const level = failed && levels[type] === 'debug' ? 'info' : levels[type];
      // JSON, which most loggers write, has no bigint.
      const id = 'id' in event ? { id: String(event.id) } : {};
      logger[level]({ ...fields, ...id, event: type }, `etcd client: ${type}`);
    },
  };
}
