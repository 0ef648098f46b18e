/**
 * Wrong code is refused: by the compiler, at the call, or by a rule of the ESLint plugin; each with
 * what the page for users says. None of it needs a server.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Linter } from 'eslint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as sdk from '../../../src/client/index.js';
import { recommended } from '../../../src/eslint-plugin/index.js';
import { exec } from '../../helpers/exec.js';
import { repoRoot } from '../../helpers/tools.js';
import { callMistakes, compilerMistakes, lintMistakes, type Mistake, rightCode } from './list.js';
import { pageOf } from './page.js';

const { Etcd, text } = sdk;

it('there are at least 41', () => {
  const count = compilerMistakes.length + callMistakes.length + lintMistakes.length;
  expect(count).toBeGreaterThanOrEqual(41);
});

describe('the compiler refuses', () => {
  let dir = '';
  /** Name of the file -> codes of what is wrong with it. */
  const found = new Map<string, string[]>();

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'kvorum-mistakes-'));
    mkdirSync(join(dir, 'snippets'));
    writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
    writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(configuration()));
    const right = `${rightCode.map(({ code }) => `{\n${code}\n}`).join('\n')}\n`;
    writeSnippet('right', right);
    for (const [i, { code }] of compilerMistakes.entries()) writeSnippet(`s${i}`, code);
    const tsc = join(repoRoot, 'node_modules/.bin/tsc');
    const done = await exec(tsc, ['-p', join(dir, 'tsconfig.json'), '--pretty', 'false'], {
      timeoutMs: 300_000,
      cwd: dir,
    });
    for (const [, file = '', code = ''] of done.stdout
      .toString()
      .matchAll(/snippets\/(\w+)\.ts\(\d+,\d+\): error (TS\d+)/g)) {
      found.set(file, [...(found.get(file) ?? []), code]);
    }
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const writeSnippet = (name: string, code: string): void => {
    const imports = "import { election, Etcd, mutex, openSession, text } from 'kvorum/client';";
    const given = [
      'declare const client: Etcd;',
      'const kv = client.kv.as(text);',
      'const session = await openSession(client);',
      'declare const userInput: string | undefined;',
      'export { Etcd, election, mutex, session, userInput };',
    ];
    writeFileSync(join(dir, 'snippets', `${name}.ts`), [imports, ...given, code].join('\n'));
  };
  /** As strict as people are, no stricter: what is refused is not so because of an option of ours. */
  const configuration = () => ({
    compilerOptions: {
      ...{ strict: true, noEmit: true, skipLibCheck: true, target: 'es2022' },
      ...{ module: 'nodenext', moduleResolution: 'nodenext', types: ['node'] },
      lib: ['es2023', 'dom', 'esnext.disposable'],
      typeRoots: [join(repoRoot, 'node_modules/@types')],
      paths: { 'kvorum/client': [join(repoRoot, 'src/client/index.ts')] },
    },
    include: ['snippets'],
  });

  it.each(compilerMistakes.map((mistake, i) => ({ ...mistake, i })))(
    '$title: $error',
    ({ i, error }) => {
      expect(found.get(`s${i}`)).toEqual([error]);
    },
  );

  it('nothing that is right', () => {
    expect(found.get('right')).toBeUndefined();
  });
});

describe('the call refuses', () => {
  /** Nobody is there; nobody is asked. */
  const client = new Etcd({ endpoints: '127.0.0.1:1', timeoutMs: 5 });
  afterAll(() => client.close());

  it.each(callMistakes)('$title', async ({ code, message }) => {
    const error = await run(code).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(sdk.EtcdClientError);
    expect(error).toMatchObject({ message: expect.stringContaining(message), attempts: 0 });
    expect(['INVALID_OPTION', 'ENCODE_FAILED']).toContain((error as sdk.EtcdClientError).reason);
  });

  const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor as new (
    ...text: string[]
  ) => (...values: unknown[]) => Promise<unknown>;

  function run(code: string): Promise<unknown> {
    const given: Readonly<Record<string, unknown>> = {
      ...sdk,
      client,
      kv: client.kv.as(text),
      userInput: undefined,
      certificate: '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n',
      privateKey: '-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n',
      notSentYet: empty(),
    };
    const names = Object.keys(given);
    return new AsyncFunction(...names, `'use strict';\n${code}`)(...Object.values(given));
  }

  /** A view whose reads find nothing: `modify` reads before it asks the function. */
  function empty(): unknown {
    const interceptor: sdk.Interceptor = () => Promise.resolve(Buffer.alloc(0));
    const nobody = new Etcd({ endpoints: '127.0.0.1:1', interceptors: [interceptor] });
    return nobody.kv.as(sdk.json<unknown>());
  }
});

describe('a rule refuses', () => {
  const linter = new Linter();
  const problemsOf = ({ code }: Mistake): readonly (string | null)[] =>
    linter
      .verify(code, [
        { languageOptions: { ecmaVersion: 'latest', sourceType: 'module' } },
        recommended,
      ])
      .map(({ ruleId, message }) => ruleId ?? message);

  it.each(lintMistakes)('$title: $rule', ({ rule, ...mistake }) => {
    expect(problemsOf(mistake)).toEqual([`kvorum/${rule}`]);
  });

  it.each(rightCode)('not $title', (right) => {
    expect(problemsOf(right)).toEqual([]);
  });
});

it('the page for users says so', async () => {
  await expect(pageOf()).toMatchFileSnapshot(join(repoRoot, 'docs/client/mistakes.md'));
});
