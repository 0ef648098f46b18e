import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCode, writeCode } from '../../src/launch/code-cache.js';
import { folderPlace } from '../../src/launch/folder-place.js';
import { Program } from '../../src/launch/program.js';

let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kvorum-launch-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('compiled code in a file', () => {
  const sum = 0xfedc_ba98;
  const code = Buffer.from('what V8 made of it');

  it('is taken for exactly the file that it was kept for', () => {
    const path = join(dir, 'deep/er/code');
    expect(readCode(path, sum)).toBeUndefined();
    expect(writeCode(path, sum, code)).toBe(true);
    expect(readCode(path, sum)).toEqual(code);
    expect(readCode(path, sum - 1)).toBeUndefined();
  });

  it('is not taken damaged', () => {
    const path = join(dir, 'code');
    writeCode(path, sum, code);
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length; at += 1) {
      writeFileSync(path, whole.subarray(0, at));
      expect(readCode(path, sum)).toBeUndefined();
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] ?? 0) ^ 4;
      writeFileSync(path, flipped);
      expect(readCode(path, sum)).toBeUndefined();
    }
  });

  it('fails nothing where it cannot be', () => {
    writeFileSync(join(dir, 'file'), '');
    expect(writeCode(join(dir, 'file/code'), sum, code)).toBe(false);
    expect(readCode(join(dir, 'file/code'), sum)).toBeUndefined();
    expect(readCode(dir, sum)).toBeUndefined();
  });
});

describe('the program', () => {
  const write = (name: string, text: string) => writeFileSync(join(dir, name), text);

  function load(): { readonly program: Program; readonly said: unknown } {
    const program = new Program(folderPlace(dir, join(dir, 'cache')));
    const { say } = program.load('main.cjs') as { say: () => unknown };
    return { program, said: say() };
  }

  it('is the same with kept code, part by part', () => {
    write('main.cjs', "const part = require('./part.cjs'); exports.say = () => part.count();");
    write('part.cjs', "let n = require('node:path').sep.length; exports.count = () => n++;");
    const first = load();
    expect(first.said).toBe(1);
    expect(first.program.load('part.cjs')).toMatchObject({ count: expect.any(Function) });
    expect((first.program.load('part.cjs') as { count(): number }).count()).toBe(2);
    expect(first.program.keepCode()).toBe(true);
    const files = readdirSync(join(dir, 'cache')).map((name) => join(dir, 'cache', name));
    const written = files.map((file) => statSync(file).ino);
    expect(written).toHaveLength(2);
    const second = load();
    expect(second.said).toBe(1);
    // It runs on what was kept, so that is not written again.
    expect(second.program.keepCode()).toBe(true);
    expect(files.map((file) => statSync(file).ino)).toEqual(written);
  });

  it('does not run on the code of another version of it', () => {
    write('main.cjs', 'exports.say = () => 1;');
    load().program.keepCode();
    // Of the same length, which is all that V8 itself looks at.
    write('main.cjs', 'exports.say = () => 2;');
    const { program, said } = load();
    expect(said).toBe(2);
    expect(program.keepCode()).toBe(true);
    expect(load().said).toBe(2);
  });

  it('runs where nothing can be kept', () => {
    write('main.cjs', 'exports.say = () => 1;');
    write('cache', '');
    const { program, said } = load();
    expect(said).toBe(1);
    expect(program.keepCode()).toBe(false);
  });
});
