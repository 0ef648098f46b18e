/**
 * Tokens that say by themselves who shows them (JWT): no member has to remember any. What was
 * verified once is known by its text until it ends, so that it costs a look-up from then on. Such a
 * token has the auth revision of its making, so each change of users or roles ends it.
 */

import {
  type Caller,
  type Clock,
  EtcdError,
  type SignedTokens,
  signedTokensCachedMax,
  tokenChecksAtOnceMax,
  tokensWaitingMax,
} from '../../common/index.js';
import type { ServerCall } from '../../transport/index.js';
import { invalidToken, refusedCaller, type Tokens } from './tokens.js';
import { WorkQueue } from './work-queue.js';

/** What entries have room for: see entry/format.ts. */
const authRevisionMax = 2 ** 48 - 1;

/** A caller who has shown a signed token. */
class SignedCaller implements Caller {
  readonly refusal = undefined;
  readonly isMember = false;

  constructor(
    readonly name: string,
    readonly authRevision: number,
    /** On the wall clock. */
    readonly expiresMs: number,
  ) {}
}

export class SignedTokenAccess implements Tokens {
  readonly #port: SignedTokens;
  readonly #clock: Pick<Clock, 'wallMs'>;
  /** Those verified first come first. */
  readonly #verified = new Map<string, SignedCaller>();
  readonly #checks = new WorkQueue({
    atOnceMax: tokenChecksAtOnceMax,
    waitingMax: tokensWaitingMax,
    waitingPerAddressMax: tokensWaitingMax,
  });

  constructor(port: SignedTokens, clock: Pick<Clock, 'wallMs'>) {
    this.#port = port;
    this.#clock = clock;
  }

  /** Number of tokens that are known by their text. */
  get size(): number {
    return this.#verified.size;
  }

  draw(): string {
    return '';
  }

  assign(): void {}

  async issue(username: string, revision: number): Promise<string> {
    if (this.#port.sign === undefined) throw new EtcdError('TOKEN_VERIFY_ONLY');
    return this.#port.sign({ username, revision });
  }

  identify(token: string, call: ServerCall): Caller | Promise<Caller> {
    const known = this.#verified.get(token);
    if (known !== undefined) return this.#unlessOver(token, known);
    return this.#checks
      .run(call, () => this.#port.verify(token))
      .then(
        (found) => {
          if (found === undefined) return invalidToken;
          const { revision, username } = found.claims;
          if (!(revision >= 0 && revision <= authRevisionMax)) return invalidToken;
          const caller = new SignedCaller(username, revision, found.expiresMs);
          this.#remember(token, caller);
          return caller;
        },
        (error: unknown) => refusedCaller((error as EtcdError).reason),
      );
  }

  identifyAgain(token: string, known: Caller | undefined): Caller {
    const verified = this.#verified.get(token);
    if (verified !== undefined) return this.#unlessOver(token, verified);
    // The token of a call stays the same; whoever began without auth has shown none that is known.
    return known instanceof SignedCaller ? this.#unlessOver(token, known) : invalidToken;
  }

  applied(): void {}

  /** What was told once stays true: it is the revision that counts. */
  userChanged(): void {}

  reset(): void {}

  #unlessOver(token: string, caller: SignedCaller): Caller {
    if (this.#clock.wallMs() < caller.expiresMs) return caller;
    this.#verified.delete(token);
    return invalidToken;
  }

  #remember(token: string, caller: SignedCaller): void {
    if (this.#verified.size >= signedTokensCachedMax) {
      for (const oldest of this.#verified.keys()) {
        this.#verified.delete(oldest);
        break;
      }
    }
    this.#verified.set(token, caller);
  }
}

/** With an empty --auth-token nobody gets a token. */
export const noTokens: Tokens = {
  draw: () => '',
  assign() {},
  issue() {
    throw new EtcdError('AUTH_FAILED');
  },
  identify: () => invalidToken,
  identifyAgain: () => invalidToken,
  applied() {},
  userChanged() {},
  reset() {},
};
