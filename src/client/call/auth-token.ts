/**
 * The token that calls carry. It is asked for once for all calls that need it, kept until a server
 * refuses it, and then asked for again: reacting to refusals is enough, however tokens expire.
 *
 * One token serves all endpoints: members know each other's tokens, but one that has restarted may
 * know none, and then the next one that is asked for is known to all of them again.
 */

import { assert, type Clock } from '../../common/index.js';
import { ask, closedError } from '../connection/index.js';
import { EtcdClientError, isEtcdError, type Reason } from '../errors.js';
import { oldRevisionsMax, tokenRefusalsMax } from '../limits.js';
import type { Secret } from './credentials.js';
import { refusesToken } from './failed-call.js';
import { isHeaderText } from './metadata.js';
import type { Credentials } from './types.js';

/** Exchanges name and password for a token; undefined: the server has auth switched off. */
export type Authenticate = (user: string, password: string) => Promise<string | undefined>;

/** What is told of tokens, without them. */
export type TokenEvent =
  | { readonly type: 'authenticated' }
  | { readonly type: 'authNotEnabled' }
  | { readonly type: 'authFailed'; readonly error: Error };

export interface TokenSourceOptions {
  readonly credentials: Credentials | undefined;
  readonly authenticate: Authenticate;
  readonly clock: Clock;
  /** How long a function of the credentials may take. */
  readonly timeoutMs: number;
  /** Aborted when the client is closed. */
  readonly signal: AbortSignal;
  readonly onEvent: (event: TokenEvent) => void;
}

/**
 * Tokens that etcd keeps in memory, as certificates, say nothing of a revision: the server takes
 * the one at which the request came, so the request need only come again. (A new token could not be
 * had: etcd checks the password again if anything of auth has changed since it began to.)
 */
const simpleToken = /^[^.]+\.\d+$/;

export class TokenSource {
  readonly #options: TokenSourceOptions;
  /** It can be asked for again: it is not one text for ever. */
  readonly #renewable: boolean;
  #asking: Promise<void> | undefined;
  #known: boolean;
  #token: string | undefined;
  /** Counts refusals, so that calls that failed together ask once. */
  #generation = 0;
  /** Set by a change of the client's own password. */
  #newPassword: string | undefined;

  constructor(options: TokenSourceOptions) {
    const { credentials } = options;
    this.#options = options;
    this.#known = credentials === undefined;
    this.#renewable = credentials !== undefined && typeof credentials.token !== 'string';
  }

  /** True if `token` and `generation` can be used as they are. */
  get known(): boolean {
    return this.#known;
  }

  get token(): string | undefined {
    return this.#token;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Resolves when there is a token, or it is known that none is needed. */
  ready(): Promise<void> {
    if (this.#known) return Promise.resolve();
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /**
   * A request that went out with the token of `generation`, or without one, failed for this reason.
   * True if that was for the token and it is worth sending again; `refusals`: how often it was.
   */
  refused(reason: Reason, hadToken: boolean, generation: number, refusals: number): boolean {
    if (!refusesToken(reason, hadToken)) return false;
    const isOld = reason === 'AUTH_OLD_REVISION';
    if (refusals >= (isOld ? oldRevisionsMax : tokenRefusalsMax)) return false;
    if (isOld && (this.#token === undefined || simpleToken.test(this.#token))) return true;
    if (!this.#renewable) return false;
    assert(generation <= this.#generation, 'a token was refused that there was');
    if (generation === this.#generation && this.#known) {
      this.#generation += 1;
      this.#known = false;
      this.#token = undefined;
    }
    return true;
  }

  /** A password was changed with this client: if it is its own, it goes on with the new one. */
  passwordChanged(user: string, password: string): void {
    const { credentials } = this.#options;
    // One that a function gives is asked for again.
    if (credentials?.user !== user || typeof credentials.password !== 'string') return;
    this.#newPassword = password;
  }

  async #ask(): Promise<void> {
    assert(!this.#known, 'a token is asked for when there is none');
    const { credentials, onEvent } = this.#options;
    try {
      this.#token = credentials === undefined ? undefined : await this.#tokenOf(credentials);
    } catch (error) {
      if (error instanceof Error && !isEtcdError(error, 'CLOSED')) {
        onEvent({ type: 'authFailed', error });
      }
      throw error;
    }
    this.#known = true;
    if (!this.#renewable) return;
    onEvent({ type: this.#token === undefined ? 'authNotEnabled' : 'authenticated' });
  }

  async #tokenOf(credentials: Credentials): Promise<string | undefined> {
    if (credentials.user === undefined) {
      const token = await this.#given(credentials.token, 'token');
      // Not quoted: it may be a token all the same.
      if (!isHeaderText(token))
        throw unusable('gave no token, or one with odd characters', 'token');
      return token;
    }
    const { user, ifAuthOff } = credentials;
    const password = this.#newPassword ?? (await this.#given(credentials.password, 'password'));
    if (typeof password !== 'string') throw unusable('gave no text', 'password');
    const token = await this.#options.authenticate(user, password);
    if (token === undefined) {
      if (ifAuthOff === 'fail') throw authOffError();
    } else if (!isHeaderText(token)) throw oddTokenError();
    return token;
  }

  async #given(secret: Secret, what: string): Promise<string> {
    if (typeof secret !== 'function') return secret;
    try {
      return await ask(secret, this.#options);
    } catch (error) {
      throw this.#options.signal.aborted ? closedError() : unusable('failed', what, error);
    }
  }
}

/** UNAVAILABLE: watches and leases that need a new token try again, as without a connection. */
function unusable(how: string, what: string, cause?: unknown): EtcdClientError {
  return new EtcdClientError({
    code: 'UNAVAILABLE',
    reason: 'CREDENTIALS_FAILED',
    outcome: 'failed',
    message: `the function that gives the ${what} ${how}`,
    cause,
  });
}

function oddTokenError(): EtcdClientError {
  return new EtcdClientError({
    code: 'INTERNAL',
    reason: 'OTHER',
    outcome: 'failed',
    message:
      'the server gave a token that can not be sent back: it is empty, or has odd characters',
  });
}

function authOffError(): EtcdClientError {
  return new EtcdClientError({
    code: 'FAILED_PRECONDITION',
    reason: 'AUTH_NOT_ENABLED',
    outcome: 'failed',
    message: 'a user and a password were given, but the server has auth switched off',
  });
}
