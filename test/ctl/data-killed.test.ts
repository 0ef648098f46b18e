/**
 * Real processes of the commands about data that are killed at any moment, are interrupted, or
 * whose reader goes away: nothing is left half done that the same command again does not finish.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DataCommands } from '../helpers/data-commands.js';
import { eventually } from '../helpers/eventually.js';
import { exec, type Finished } from '../helpers/exec.js';
import { cleanEnvironment, useTarget } from '../helpers/server.js';
import { targetTool } from '../helpers/target.js';
import { describeWith, kvorumBin, slow } from '../helpers/tools.js';

describeWith(['kvorum', targetTool], 'commands about data, as processes', () => {
  const server = useTarget();
  const rounds = slow ? 20 : 2;
  let at: DataCommands;
  let dir = '';
  beforeAll(() => {
    at = new DataCommands(server());
    dir = mkdtempSync(join(tmpdir(), 'kvorum-test-killed-'));
  });
  afterAll(async () => {
    await at.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const path = (name: string) => join(dir, name);
  const line = (words: readonly string[]) => [
    ...words,
    `--endpoints=${server().endpoint}`,
    '--command-timeout=60s',
    '--dial-timeout=60s',
  ];
  const shell = (script: string) => exec('bash', ['-c', script, kvorumBin, ...line([])]);

  const lineOf = (key: string, value: string) => `${JSON.stringify({ key, value })}\n`;

  /** Starts it; the result kills it, if it has not ended, and waits. */
  function start(words: readonly string[], signal: NodeJS.Signals, input?: string) {
    const child = spawn(kvorumBin, line(words), {
      stdio: [input === undefined ? 'ignore' : 'pipe', 'ignore', 'ignore'],
      env: cleanEnvironment(),
    });
    // It may be dead before it has read all of it.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
    const ended = new Promise<number | null>((resolve) => {
      child.once('close', (code) => resolve(code));
    });
    return () => {
      child.kill(signal);
      return ended;
    };
  }

  /** Resolves when `key` has this value: the command is in the middle of its work. */
  const reaches = (prefix: string, key: string, value: string | undefined) =>
    eventually(async () => {
      const found = (await at.state(prefix))[key];
      return found === value ? true : undefined;
    }, `${prefix}${key} becomes ${value}`);

  it('rollback is finished by the same command', { timeout: 300_000 }, async () => {
    for (let round = 0; round < rounds; round += 1) {
      const prefix = `/killed/${round}/`;
      const names = Array.from({ length: 600 }, (_, i) => String(1_000 + i));
      const linesWith = (value: string) => names.map((name) => lineOf(`${prefix}${name}`, value));
      await at.ok(['import'], { stdin: linesWith('old').join('') });
      const rev = await at.put('/killed.', 'x');
      await at.ok(['import', '--overwrite'], { stdin: linesWith('new').join('') });
      const words = ['rollback', prefix, '--to-rev', String(rev), '--yes'];
      const kill = start(words, 'SIGKILL');
      await reaches(prefix, names[150 * round] ?? '1000', 'old 0');
      await kill();
      await at.ok(words);
      expect(new Set(Object.values(await at.state(prefix)))).toEqual(new Set(['old 0']));
    }
  });

  it('import is finished by the same command', { timeout: 300_000 }, async () => {
    for (let round = 0; round < rounds; round += 1) {
      const prefix = `/imported/${round}/`;
      const names = Array.from({ length: 2_000 }, (_, i) => String(10_000 + i));
      const stdin = names.map((name) => lineOf(`${prefix}${name}`, 'x')).join('');
      const kill = start(['import'], 'SIGKILL', stdin);
      await reaches(prefix, names[500 * round] ?? '10000', 'x 0');
      await kill();
      await at.ok(['import'], { stdin });
      expect(Object.keys(await at.state(prefix))).toEqual(names);
    }
  });

  it('render leaves a whole file, whenever it is killed', { timeout: 300_000 }, async () => {
    writeFileSync(
      path('t'),
      'begin {{ "/whole/n" | value }}\n{% for i in (1..20000) %}line {{ i }}\n{% endfor %}' +
        'end {{ "/whole/n" | value }}\n',
    );
    const words = ['render', path('t'), path('out'), '--prefix=/whole/'];
    const wholeNumber = (): string | undefined => {
      const text = readFileSync(path('out'), 'utf8');
      const [, first, last] =
        /^begin (\d+)\nline 1\n[\s\S]*line 20000\nend (\d+)\n$/.exec(text) ?? [];
      expect(first, 'the file is whole').toBeDefined();
      expect(last).toBe(first);
      return first;
    };
    let n = 0;
    const next = () => at.put('/whole/n', String(++n));
    await next();
    for (let round = 0; round < rounds; round += 1) {
      const kill = start([...words, '--calm', '1ms'], 'SIGKILL');
      await next();
      const wanted = String(n);
      await eventually(() => (wholeNumber() === wanted ? true : undefined), 'it is rendered');
      for (let i = 0; i < 10 + round; i += 1) {
        await next();
        wholeNumber();
      }
      await kill();
      wholeNumber();
    }
    await at.ok([...words, '--once']);
    expect(wholeNumber()).toBe(String(n));
    expect(readdirSync(dir).sort()).toEqual(['out', 't']);
  });

  it('render ends well when it is told to end', async () => {
    writeFileSync(path('t'), '{{ "/term/n" | value: "none" }}');
    const end = start(['render', path('t'), path('out'), '--prefix=/term/'], 'SIGTERM');
    await eventually(
      () => (readFileSync(path('out'), 'utf8') === 'none' ? true : undefined),
      'it is rendered',
    );
    expect(await end()).toBe(0);
  });

  it('import ends in order while it waits for lines', async () => {
    const lines = Array.from({ length: 101 }, (_, i) => lineOf(`/waiting/${i}`, 'x'));
    const isThere = eventually(async () => {
      return Object.keys(await at.state('/waiting/')).length === 100 ? true : undefined;
    }, 'a transaction');
    const words = line(['import']);
    // One more, so that the first hundred are put.
    const options = { stdin: lines.join(''), holdStdin: true, endWhen: isThere };
    const { code, stderr }: Finished = await exec(kvorumBin, words, options);
    expect(code).toBe(5);
    expect(stderr).toContain('100 lines imported; the same import again, or with --skip-lines 100');
  });

  it('export ends when nobody reads it any more', async () => {
    const value = 'x'.repeat(300);
    const lines = Array.from({ length: 3_000 }, (_, i) => lineOf(`/unread/${i}`, value));
    await at.ok(['import'], { stdin: lines.join('') });
    const { stdout, stderr } = await shell(
      '{ "$0" export /unread/ "$@"; echo "ended with $?" >&2; } | head -n 1',
    );
    expect(stdout.toString()).toMatch(/^\{"key":"\/unread\/0",.*\}\n$/);
    expect(stderr).toContain('ended with 5');
    // A pipe holds less than these lines have.
    expect(stderr).toContain('written, and not all');
  });
});
