/**
 * From a name and a password to a token (C-4): a linearizable read, so that a changed password
 * counts at once; the comparison, outside of the event loop; then an entry, of which each member
 * makes the token.
 */

import { EtcdError } from '../../common/index.js';
import type { ServerCall } from '../../transport/index.js';
import { sealOf, type WorkQueue } from '../access/index.js';
import { type EntryType, newEntry } from '../entry/index.js';
import type { Host } from '../feature/index.js';
import {
  type AuthenticateRequest,
  type AuthenticateResult,
  encodeAuthenticate,
} from './entries.js';
import { nobodysHash } from './passwords.js';

type AuthenticateEntry = EntryType<AuthenticateRequest, AuthenticateResult>;

/** Names come from whoever calls. */
const loggedNameMax = 100;

export class Authenticator {
  readonly #host: Host;
  readonly #entry: AuthenticateEntry;
  readonly #queue: WorkQueue;

  constructor(host: Host, entry: AuthenticateEntry, queue: WorkQueue) {
    this.#host = host;
    this.#entry = entry;
    this.#queue = queue;
  }

  /** Rejects with the EtcdError to answer. */
  async tokenFor(name: string, password: string, call: ServerCall): Promise<string> {
    const { logger, tokens } = this.#host;
    await this.#host.readBarrier();
    for (;;) {
      const checked = await this.#check(name, password, call);
      const drawn = tokens.draw();
      const request = { user: name, seal: sealOf(drawn) };
      const { authRevision, hash, index } = await this.#enter(request, call);
      if (hash === checked) return tokens.issue(name, authRevision, drawn, index);
      // It changed while it was compared: what was right then need not be right now.
      logger.info('the password was changed while it was checked; checking again');
    }
  }

  /** The hash that fits the password; rejects if none does. */
  async #check(name: string, password: string, call: ServerCall): Promise<string> {
    const { authState, config, logger, passwords } = this.#host;
    if (!authState.isEnabled) throw new EtcdError('AUTH_NOT_ENABLED');
    const user = authState.user(name);
    if (user?.noPassword) throw this.#refused('NO_PASSWORD_USER', name);
    // For a user that is not there as well: how long it takes must not tell who is.
    const hash = user?.hash ?? nobodysHash(config.bcryptCost);
    const fits = await this.#queue.run(call, () => passwords.matches(password, hash));
    if (user !== undefined && fits) return hash;
    if (user !== undefined) logger.info('invalid password', { user: name.slice(0, loggedNameMax) });
    throw this.#refused('AUTH_FAILED', name);
  }

  #refused(reason: 'NO_PASSWORD_USER' | 'AUTH_FAILED', name: string): EtcdError {
    const error = new EtcdError(reason);
    this.#host.logger.warn('invalid authentication was requested', {
      user: name.slice(0, loggedNameMax),
      error: error.message,
    });
    return error;
  }

  #enter(request: AuthenticateRequest, call: ServerCall): Promise<AuthenticateResult> {
    const data = newEntry(this.#entry.kind, encodeAuthenticate(request), call.caller);
    return new Promise((resolve, reject) => {
      this.#host.propose(this.#entry, data, request, settle, { call, resolve, reject });
    });
  }
}

interface Waiter {
  readonly call: ServerCall;
  readonly resolve: (result: AuthenticateResult) => void;
  readonly reject: (error: Error) => void;
}

function settle(
  { reject, resolve }: Waiter,
  _request: AuthenticateRequest,
  error: Error | undefined,
  result: AuthenticateResult | undefined,
): void {
  if (result === undefined) reject(error ?? new EtcdError('STOPPED'));
  else resolve(result);
}
