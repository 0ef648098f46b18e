import { describe, expect, it } from 'vitest';
import { CommandError, exit } from '../../src/ctl/command/index.js';
import { confirm } from '../../src/ctl/confirm/index.js';
import { type CtlRunOptions, collectingIo } from '../helpers/ctl-in-process.js';

const what = 'This removes 12 keys.';

async function asked(options: CtlRunOptions, yes = false) {
  const { io, stderr } = collectingIo(options);
  const refusal = await confirm(io, what, yes).then(
    () => undefined,
    (error: unknown) => error as CommandError,
  );
  return { refusal, said: stderr() };
}

describe('a question before something is destroyed', () => {
  it.each(['y\n', 'Y\n', ' yes \n', 'yes'])('goes on after %j', async (stdin) => {
    const { refusal, said } = await asked({ stdin, onTerminal: true });
    expect(refusal).toBeUndefined();
    expect(said).toBe(`${what}\nGo on? [y/N] `);
  });

  it.each(['\n', 'n\n', '', 'yesterday\n', 'no\ny\n'])('ends after %j', async (stdin) => {
    const { refusal } = await asked({ stdin, onTerminal: true });
    expect(refusal).toBeInstanceOf(CommandError);
    expect(refusal?.message).toBe('nothing was done');
  });

  it('is not asked of a script, which is told what to give', async () => {
    const { refusal, said } = await asked({ stdin: 'y\n' });
    expect(refusal?.message).toMatch(/^This removes 12 keys\. .*--yes/);
    expect(said).toBe('');
  });

  it('is not asked with --yes', async () => {
    expect(await asked({}, true)).toEqual({ refusal: undefined, said: '' });
  });

  it('ends when it is interrupted', async () => {
    const stop = new AbortController();
    const silence = (async function* (): AsyncGenerator<Uint8Array> {
      await new Promise(() => undefined);
      yield Buffer.alloc(0);
    })();
    const answer = asked({ onTerminal: true, interrupted: stop.signal, io: { stdin: silence } });
    stop.abort();
    expect((await answer).refusal).toMatchObject({ exitCode: exit.interrupted });
  });
});
