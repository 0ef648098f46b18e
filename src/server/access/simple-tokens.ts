/**
 * etcd's simple tokens: random letters and the index of the entry that they come from. Each member
 * has them in memory, because each applies that entry; a restart forgets them. One lives as long as
 * it is used (--auth-token-ttl), by the clock of the member that is asked.
 *
 * The entry does not have the letters but their seal, from which nobody can make a token: who reads
 * a log, or a copy of it, is not signed in by that (GHSA-528j-9r78-wffx).
 */

import { createHash } from 'node:crypto';
import {
  assert,
  authTokensMax,
  type Caller,
  type Clock,
  type LogIndex,
  type Random,
  tokenIndexAheadMax,
} from '../../common/index.js';
import type { ServerCall } from '../../transport/index.js';
import { IndexWaits } from './index-waits.js';
import { invalidToken, refusedCaller, type Tokens } from './tokens.js';

export interface SimpleTokensOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly ttlMs: number;
  /** A call waits so long for the entry of its token. */
  readonly timeoutMs: number;
  /** Up to where the log is applied here. */
  readonly appliedIndex: () => LogIndex;
  /** Of users and roles. */
  readonly authRevision: () => number;
}

interface Token {
  /** Its key among the tokens: the seal of its letters, and the index. */
  readonly key: string;
  readonly user: string;
  usedMs: number;
  /** When it got its place among the others. */
  placedMs: number;
  /** The caller that it stands for, at the revision of the last time. */
  caller: Caller | undefined;
  /** How it was shown here; undefined: not yet. */
  shown: string | undefined;
}

/** What an entry says of the letters of a token: '' of none. */
export function sealOf(drawn: string): string {
  return drawn === '' ? '' : createHash('sha256').update(drawn).digest('base64url');
}

const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const lettersOfToken = 16;
/** Draws from here on are drawn again, so that all letters come alike often. */
const evenDraws = 2 ** 32 - (2 ** 32 % letters.length);

const form = new RegExp(`^([a-zA-Z]{${lettersOfToken}})\\.(\\d{1,15})$`);
/** So many of the oldest are looked at for each new one. */
const looks = 4;

export class SimpleTokens implements Tokens {
  readonly #o: SimpleTokensOptions;
  /** By key; those that were placed first come first. */
  readonly #tokens = new Map<string, Token>();
  /** Those of them that were shown here, as they are shown: a seal is not made for each call. */
  readonly #shown = new Map<string, Token>();
  readonly #waits: IndexWaits;

  constructor(options: SimpleTokensOptions) {
    this.#o = options;
    this.#waits = new IndexWaits(options.clock, options.timeoutMs);
  }

  /** Number of tokens, with those that nobody has used for too long. */
  get size(): number {
    return this.#tokens.size;
  }

  draw(): string {
    let drawn = '';
    while (drawn.length < lettersOfToken) {
      const number = this.#o.random.u32();
      if (number < evenDraws) drawn += letters[number % letters.length];
    }
    return drawn;
  }

  assign(user: string, seal: string, index: LogIndex): void {
    const nowMs = this.#o.clock.nowMs();
    this.#makeRoom(nowMs);
    const key = `${seal}.${index}`;
    const times = { usedMs: nowMs, placedMs: nowMs };
    this.#tokens.set(key, { key, user, ...times, caller: undefined, shown: undefined });
  }

  issue(_user: string, _authRevision: number, drawn: string, index: LogIndex): string {
    return `${drawn}.${index}`;
  }

  identify(text: string, call: ServerCall): Caller | Promise<Caller> {
    const token = this.#find(text);
    if (token !== undefined) return this.#use(token);
    const index = Number(form.exec(text)?.[2] ?? 0);
    const applied = this.#o.appliedIndex();
    // What nobody can have got yet is not waited for.
    if (index <= applied || index > applied + tokenIndexAheadMax) return invalidToken;
    return this.#waits.wait(index, call).then((refusal) => {
      return refusal === undefined ? this.identifyAgain(text) : refusedCaller(refusal);
    });
  }

  identifyAgain(text: string): Caller {
    const token = this.#find(text);
    return token === undefined ? invalidToken : this.#use(token);
  }

  applied(index: LogIndex): void {
    this.#waits.applied(index);
  }

  userChanged(name: string): void {
    for (const token of this.#tokens.values()) if (token.user === name) this.#forget(token);
  }

  reset(): void {
    this.#tokens.clear();
    this.#shown.clear();
  }

  #find(text: string): Token | undefined {
    const shown = this.#shown.get(text);
    if (shown !== undefined) return shown;
    const [, drawn = '', index = ''] = form.exec(text) ?? [];
    // Without any, none is sealed for whoever shows what is none.
    if (drawn === '' || this.#tokens.size === 0) return undefined;
    const token = this.#tokens.get(`${sealOf(drawn)}.${index}`);
    if (token === undefined) return undefined;
    assert(token.shown === undefined, 'what was shown here is found as it was shown');
    token.shown = text;
    this.#shown.set(text, token);
    return token;
  }

  #forget(token: Token): void {
    this.#tokens.delete(token.key);
    if (token.shown !== undefined) this.#shown.delete(token.shown);
  }

  /** The caller is as new as the call: the token says nothing of users and roles. */
  #use(token: Token): Caller {
    const nowMs = this.#o.clock.nowMs();
    if (nowMs - token.usedMs > this.#o.ttlMs) {
      this.#forget(token);
      return invalidToken;
    }
    token.usedMs = nowMs;
    const authRevision = this.#o.authRevision();
    if (token.caller?.authRevision === authRevision) return token.caller;
    const { user: name } = token;
    token.caller = { name, authRevision, refusal: undefined, isMember: false };
    return token.caller;
  }

  /** Forgets some that are too old; where there are too many, the one not used for longest. */
  #makeRoom(nowMs: number): void {
    for (let i = 0; i < looks; i++) {
      const [token] = this.#tokens.values();
      if (token === undefined) return;
      const isUsed = token.usedMs > token.placedMs;
      const isOver = this.#tokens.size >= authTokensMax;
      if (nowMs - token.usedMs > this.#o.ttlMs || (isOver && (!isUsed || i === looks - 1))) {
        this.#forget(token);
      } else if (isUsed) {
        // Used since then: it gets the newest place, as if it had been assigned when it was used.
        this.#tokens.delete(token.key);
        token.placedMs = token.usedMs;
        this.#tokens.set(token.key, token);
      } else return;
    }
  }
}
