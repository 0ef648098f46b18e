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
import { growingPercent } from '../../src/launch/old-generation.js';
import { anyPeerPort, endProgramsAfterEach, serve, temporaryDirectory } from '../e2e/program.js';
import { eventually } from '../helpers/eventually.js';
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

/** Runs a script as a program of its own; what it prints is JSON. */
async function printed(script: string, ...options: readonly string[]): Promise<unknown> {
  const args = [...options, '--input-type=module', '-e', script];
  const outcome = await exec(process.execPath, args);
  expect(outcome.stderr).toBe('');
  return JSON.parse(outcome.stdout.toString('utf8'));
}

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

  it('grows as far as the bound', async () => {
    const ours = (await printed(script)) as { readonly halves: number };
    expect(ours).toMatchObject({ bounded: true });
    // Nodes count differently which pages are there; unbounded, Node 24 has eight halves.
    expect(ours.halves).toBeGreaterThan(1);
    expect(ours.halves).toBeLessThan(4);
  });

  it('is left to whoever started Node with a bound of his own', async () => {
    const own = await printed(script, '--max-semi-space-size=2');
    expect(own).toMatchObject({ bounded: false });
    expect((own as { readonly halves: number }).halves).toBeLessThanOrEqual(0.5);
  });
});

describe("V8's old generation", () => {
  const module = `${repoRoot}dist/src/launch/old-generation.js`;
  /** Has some 20 MB in use, and replaces them bit by bit; prints how often all was collected. */
  const script = `
    import { constants, PerformanceObserver } from 'node:perf_hooks';
    import { widenOldGeneration } from '${module}';
    const widened = widenOldGeneration(process.execArgv);
    let full = 0;
    new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries()) {
        if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) full += 1;
      }
    }).observe({ entryTypes: ['gc'] });
    const kept = Array.from({ length: 100 }, () => []);
    for (let round = 0; round < 3_000; round += 1) {
      kept[round % kept.length] = Array.from({ length: 4_000 }, (_none, i) => ({ i, round }));
      if (round % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    console.log(JSON.stringify({ widened, full }));
  `;

  it('grows further between two collections of all of it than a small step', async () => {
    interface Count {
      readonly full: number;
    }
    const ours = (await printed(script)) as Count;
    expect(ours).toMatchObject({ widened: true });
    const stepOf = async (): Promise<Count | undefined> => {
      const small = (await printed(script, '--heap-growing-percent=10')) as Count;
      // Whoever set the flag has decided.
      expect(small).toMatchObject({ widened: false });
      return small.full > 2 * ours.full ? small : undefined;
    };
    // In some runs Node 24 tells of one collection and no more, whatever the flag says.
    expect(await eventually(stepOf, 'collections after small steps')).toBeDefined();
  });

  it('grows by at most as much as is in use once that is a lot, which V8 decides then', () => {
    const mb = 1024 * 1024;
    expect([0, 10, 24, 32, 48, 96].map((used) => growingPercent(used * mb))).toEqual([
      300, 300, 300, 300, 200, 100,
    ]);
    expect(growingPercent(97 * mb)).toBe(0);
    expect(growingPercent(4096 * mb)).toBe(0);
    // In a small container by an eighth of it.
    expect(growingPercent(25 * mb, 256 * mb)).toBe(128);
    expect(growingPercent(40 * mb, 256 * mb)).toBe(0);
    expect(growingPercent(25 * mb, 16_384 * mb)).toBe(300);
  });
});
