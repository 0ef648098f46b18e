/**
 * The token that calls carry. It is asked for once for all calls that need it, kept until a server
 * refuses it, and then asked for again: reacting to refusals is enough, however tokens expire.
 */

import { assert } from '../../common/index.js';
import type { Credentials } from './types.js';

/** Exchanges name and password for a token; undefined: the server has auth switched off. */
export type Authenticate = (user: string, password: string) => Promise<string | undefined>;

export class TokenSource {
  readonly #credentials: Credentials | undefined;
  readonly #authenticate: Authenticate;
  #asking: Promise<void> | undefined;
  #known = false;
  #token: string | undefined;
  /** Counts refusals, so that calls that failed together ask once. */
  #generation = 0;

  constructor(credentials: Credentials | undefined, authenticate: Authenticate) {
    this.#credentials = credentials;
    this.#authenticate = authenticate;
    this.#known = credentials === undefined;
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
   * A server refused the token of `generation`. True if it is worth trying again with another.
   */
  refused(generation: number): boolean {
    if (this.#credentials === undefined) return false;
    assert(generation <= this.#generation, 'a token was refused that there was');
    if (generation === this.#generation && this.#known) {
      this.#generation += 1;
      this.#known = false;
      this.#token = undefined;
    }
    return true;
  }

  async #ask(): Promise<void> {
    assert(!this.#known, 'a token is asked for when there is none');
    const credentials = this.#credentials;
    if (credentials?.user !== undefined) {
      this.#token = await this.#authenticate(credentials.user, credentials.password);
    } else if (credentials !== undefined) {
      const { token } = credentials;
      this.#token = typeof token === 'function' ? await token() : token;
    }
    this.#known = true;
  }
}
