import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { folderPlace } from '../../src/launch/folder-place.js';
import { Program } from '../../src/launch/program.js';
import { mapStackTraces } from '../../src/launch/stack-traces.js';

let dir = '';
const before = Error.prepareStackTrace;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kvorum-launch-'));
  mapStackTraces((path) => readFileSync(path, 'utf8'));
});
afterEach(() => {
  Error.prepareStackTrace = before;
  rmSync(dir, { recursive: true, force: true });
});

/** The stack of an error that a program of one file makes in its second line. */
function stackOf(map: string | undefined, error = "new TypeError('wrong')"): string {
  writeFileSync(join(dir, 'main.cjs'), `exports.make = function made() {\n  return ${error};\n};`);
  if (map !== undefined) writeFileSync(join(dir, 'main.cjs.map'), map);
  const program = new Program(folderPlace(dir, join(dir, 'cache')));
  const { make } = program.load('main.cjs') as { make: () => Error };
  return make().stack ?? '';
}

it('leads to what was written', () => {
  // Line 2 from column 2 on is line 41, column 7 of the source.
  const map = { version: 3, sources: ['../src/made.ts'], names: [], mappings: ';EAwCM' };
  const stack = stackOf(JSON.stringify(map));
  expect(stack).toMatch(/^TypeError: wrong\n {4}at made \(\//);
  expect(stack.split('\n')[1]).toBe(`    at made (${join(dir, '../src/made.ts')}:41:7)`);
});

it('stays as it is without a map, or with a damaged one', () => {
  for (const map of [undefined, '{', '{"version":3}']) {
    expect(stackOf(map)).toMatch(/^TypeError: wrong\n {4}at made \(file:.*main\.cjs:2:10\)/);
  }
});

it('survives errors that cannot say what they are', () => {
  const odd = "Object.defineProperty(new Error(), 'message', { get() { throw 1; } })";
  expect(stackOf(undefined, odd)).toMatch(/^Error\n {4}at made/);
});
