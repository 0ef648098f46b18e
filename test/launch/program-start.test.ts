/** bin/kvorum as it is installed: where it may keep compiled code, and where it may not. */

import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { anyPeerPort, endProgramsAfterEach, serve, temporaryDirectory } from '../e2e/program.js';
import { exec } from '../helpers/exec.js';
import { repoRoot } from '../helpers/tools.js';

endProgramsAfterEach();

/** A copy of what is built, in which nothing was kept yet. */
function installed(): { readonly bin: string; readonly cache: string } {
  const dir = temporaryDirectory();
  mkdirSync(join(dir, 'dist'));
  for (const part of ['bin', 'dist/bin', 'package.json']) {
    cpSync(join(repoRoot, part), join(dir, part), { recursive: true });
  }
  symlinkSync(join(repoRoot, 'node_modules'), join(dir, 'node_modules'));
  return { bin: join(dir, 'bin/kvorum'), cache: join(dir, 'dist/cache') };
}

function flags(...more: readonly string[]): string[] {
  const urls = ['--listen-client-urls', 'http://127.0.0.1:0', ...anyPeerPort];
  const advertised = ['--advertise-client-urls', 'http://127.0.0.1:2379'];
  return ['--data-dir', join(temporaryDirectory(), 'd'), ...urls, ...advertised, ...more];
}

describe('compiled code', () => {
  it('is kept beside the program, by a command and by a server', async () => {
    const { bin, cache } = installed();
    expect(await exec(bin, ['compile'])).toMatchObject({ code: 0, stderr: '' });
    const kept = readdirSync(cache);
    const inodes = () => kept.map((name) => statSync(join(cache, name)).ino);
    const written = inodes();
    const started = await serve(flags('--log-level=debug'), { program: bin });
    expect(inodes(), 'the server ran on what was kept').toEqual(written);
    expect(
      started.log.some(({ msg }) => msg === 'warmed up'),
      'it had no need to',
    ).toBe(false);
    expect(kept.length).toBeGreaterThan(1);
    expect(kept.every((name) => name.endsWith(`${process.version}-${process.arch}`))).toBe(true);
    const other = installed();
    await serve(flags(), { program: other.bin });
    expect(readdirSync(other.cache).sort()).toEqual(kept.sort());
  });

  it('is done without where nothing can be written', async () => {
    const { bin, cache } = installed();
    writeFileSync(cache, '');
    const outcome = await exec(bin, ['compile']);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toBe('kvorum: this user may not write beside the program\n');
    const program = await serve(flags('--log-level=debug'), { program: bin });
    expect(program.log.some(({ msg }) => msg === 'warmed up')).toBe(true);
    expect(program.log.some(({ level }) => level === 'error')).toBe(false);
  });

  it('is not made warm if that is not wanted', async () => {
    const { bin, cache } = installed();
    const more = ['--warm-up=false', '--log-level=debug'];
    const program = await serve(flags(...more), { program: bin });
    expect(program.log.some(({ msg }) => msg === 'warmed up')).toBe(false);
    expect(existsSync(cache)).toBe(true);
  });
});

describe("V8's young generation", () => {
  /** Allocates as a busy server does; prints whether it was bounded, and the most that it had. */
  const module = `${repoRoot}dist/src/launch/young-generation.js`;
  const script = `
    import { getHeapSpaceStatistics } from 'node:v8';
    import { boundYoungGeneration, semiSpaceBytesMax } from '${module}';
    const bounded = boundYoungGeneration(process.execArgv);
    const isYoung = ({ space_name: name }) => name === 'new_space';
    let bytes = 0;
    for (let round = 0; round < 200; round += 1) {
      globalThis.kept = Array.from({ length: 20_000 }, (_none, i) => ({ i, more: [i] }));
      bytes = Math.max(bytes, getHeapSpaceStatistics().find(isYoung).space_size);
      await new Promise((resolve) => setImmediate(resolve));
    }
    console.log(JSON.stringify({ bounded, halves: bytes / semiSpaceBytesMax }));
  `;

  async function young(...options: readonly string[]): Promise<unknown> {
    const args = [...options, '--input-type=module', '-e', script];
    const outcome = await exec(process.execPath, args);
    expect(outcome.stderr).toBe('');
    return JSON.parse(outcome.stdout.toString('utf8'));
  }

  it('grows as far as the bound', async () => {
    expect(await young()).toEqual({ bounded: true, halves: 2 });
  });

  it('is left to whoever started Node with a bound of his own', async () => {
    expect(await young('--max-semi-space-size=2')).toEqual({ bounded: false, halves: 0.25 });
  });
});
