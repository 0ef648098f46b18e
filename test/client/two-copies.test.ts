import { expect, it } from 'vitest';
import { EtcdClientError, isEtcdError } from '../../src/client/index.js';

/** What the client is for a program that has it a second time, as CommonJS beside an ES module. */
async function anotherCopy(): Promise<typeof EtcdClientError> {
  const path = '../../src/client/errors.js?another';
  const { EtcdClientError: theirs } = (await import(path)) as {
    readonly EtcdClientError: typeof EtcdClientError;
  };
  return theirs;
}

it('errors of another copy of the client are known, and nothing else is', async () => {
  const Theirs = await anotherCopy();
  expect(Theirs).not.toBe(EtcdClientError);
  const error = new Theirs({
    message: 'gone',
    code: 'UNAVAILABLE',
    reason: 'CONNECT_FAILED',
    outcome: 'failed',
  });
  expect(error).not.toBeInstanceOf(EtcdClientError);
  expect(isEtcdError(error)).toBe(true);
  expect(isEtcdError(error, 'CONNECT_FAILED')).toBe(true);
  expect(isEtcdError(error, 'COMPACTED')).toBe(false);
  for (const other of [new Error('gone'), null, undefined, 'EtcdClientError', { ...error }]) {
    expect(isEtcdError(other)).toBe(false);
  }
});
