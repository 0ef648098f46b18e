import { describe, expect, it } from 'vitest';
import type { Caller } from '../../src/common/index.js';
import { SimpleTokens, sealOf } from '../../src/server/access/index.js';
import { openNodeRandom } from '../../src/server/platform/random-node.js';
import type { ServerCall } from '../../src/transport/index.js';

/** Nothing here waits: the log is applied up to where tokens come from. */
const call = {} as ServerCall;

class Clockwork {
  atMs = 0;
  readonly tokens = new SimpleTokens({
    clock: {
      nowMs: () => this.atMs,
      wallMs: () => this.atMs,
      after: () => () => undefined,
      afterTurn: () => undefined,
    } as never,
    random: openNodeRandom(),
    ttlMs: 1000,
    timeoutMs: 1000,
    appliedIndex: () => 100,
    authRevision: () => 7,
  });

  signIn(user: string, index: number): string {
    const drawn = this.tokens.draw();
    this.tokens.assign(user, sealOf(drawn), index);
    return this.tokens.issue(user, 7, drawn, index);
  }

  async who(token: string): Promise<string> {
    const caller: Caller = await this.tokens.identify(token, call);
    return caller.refusal ?? caller.name;
  }
}

describe('simple tokens', () => {
  it('stand for their user, and the seal in the entry does not', async () => {
    const at = new Clockwork();
    const token = at.signIn('a', 5);
    expect(token).toMatch(/^[a-zA-Z]{16}\.5$/);
    expect(await at.who(token)).toBe('a');
    expect(await at.who(token)).toBe('a');
    const seal = sealOf(token.slice(0, 16));
    expect(seal).not.toContain(token.slice(0, 16));
    for (const made of [`${seal}.5`, seal, `${token.slice(0, 16)}.6`, `${token.slice(0, 16)}.05`]) {
      expect(await at.who(made), made).toBe('INVALID_AUTH_TOKEN');
    }
  });

  it('are gone once their user was changed, shown or not', async () => {
    const at = new Clockwork();
    const shown = at.signIn('a', 5);
    const unshown = at.signIn('a', 6);
    const other = at.signIn('b', 7);
    await at.who(shown);
    at.tokens.userChanged('a');
    for (const token of [shown, unshown]) expect(await at.who(token)).toBe('INVALID_AUTH_TOKEN');
    expect(await at.who(other)).toBe('b');
    at.tokens.reset();
    expect(await at.who(other)).toBe('INVALID_AUTH_TOKEN');
    expect(at.tokens.size).toBe(0);
  });

  it('live on as long as they are used', async () => {
    const at = new Clockwork();
    const used = at.signIn('a', 5);
    const unused = at.signIn('b', 6);
    for (at.atMs = 600; at.atMs < 3000; at.atMs += 600) expect(await at.who(used)).toBe('a');
    expect(await at.who(unused)).toBe('INVALID_AUTH_TOKEN');
    at.atMs += 1001;
    expect(await at.who(used)).toBe('INVALID_AUTH_TOKEN');
    expect(at.tokens.size).toBe(0);
  });
});
