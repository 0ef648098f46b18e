/** /debug/pprof/: profiles in the format of pprof, one at a time, and only if they are asked for. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Profile } from 'pprof-format';
import { afterEach, describe, expect, it } from 'vitest';
import { cpuProfileSecondsMax, type Profiler, silentLogger } from '../../src/common/index.js';
import { answerProfiles } from '../../src/server/http/profiles.js';
import { defaultConfig } from '../../src/server/options/index.js';
import { withoutSecrets } from '../../src/server/options/secrets.js';
import { nodePorts } from '../../src/server/platform/index.js';
import { createProfiler } from '../../src/server/platform/profiler-node.js';
import type { HttpResponse } from '../../src/transport/index.js';
import { exec } from '../helpers/exec.js';
import { itWith, toolPath } from '../helpers/tools.js';

function ask(profiler: Profiler, url: string): Promise<HttpResponse> {
  const { pathname, searchParams } = new URL(url, 'http://x');
  const request = { method: 'GET', path: pathname, query: searchParams, headers: {} };
  const rest = {
    body: noBody(),
    peer: { address: 'test', identity: { commonName: '', certificateVerified: false } },
    wantsWebSocket: false,
    onGone: undefined,
    drop: () => {},
  };
  return answerProfiles(profiler, { ...request, ...rest }, pathname);
}

async function* noBody(): AsyncIterable<Buffer> {}

async function bodyOf({ body }: HttpResponse): Promise<Buffer> {
  if (typeof body === 'string' || body instanceof Uint8Array) return Buffer.from(body);
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** Spends time where a profile can see it. */
function burnForAProfile(ms: number): number {
  const until = performance.now() + ms;
  let sum = 0;
  while (performance.now() < until) for (let i = 0; i < 1e5; i += 1) sum += Math.sqrt(i);
  return sum;
}

/** Holds memory where a profile can see it. */
function holdForAProfile(): string[][] {
  return Array.from({ length: 400 }, (_, i) => new Array(20_000).fill(`${i}`) as string[]);
}

interface Decoded {
  readonly measures: readonly string[];
  readonly names: readonly string[];
  /** The stacks that have a function of this name, innermost first, with their values. */
  stacksWith(name: string): ReadonlyArray<{ stack: string[]; values: number[] }>;
}

function decoded(bytes: Buffer): Decoded {
  const profile = Profile.decode(gunzipSync(bytes));
  const { strings } = profile.stringTable;
  const text = (index: unknown) => strings[Number(index)] ?? '';
  const nameOf = new Map(profile.function.map(({ id, name }) => [Number(id), text(name)]));
  const frames = new Map(
    profile.location.map(({ id, line }) => {
      return [Number(id), nameOf.get(Number(line[0]?.functionId)) ?? ''];
    }),
  );
  const samples = profile.sample.map(({ locationId, value }) => ({
    stack: locationId.map((id) => frames.get(Number(id)) ?? ''),
    values: value.map(Number),
  }));
  return {
    measures: profile.sampleType.map(({ type, unit }) => `${text(type)}/${text(unit)}`),
    names: [...nameOf.values()],
    stacksWith: (name) => samples.filter(({ stack }) => stack.includes(name)),
  };
}

/** A profiler that is told what to do. */
const fake = (): Profiler & { cancelled: number } => {
  const made = {
    cancelled: 0,
    startCpu: (seconds: number) => ({
      done: Promise.resolve(Buffer.from(`cpu ${seconds}`)),
      cancel: () => {
        made.cancelled += 1;
      },
    }),
    heap: (collect: boolean) => Promise.resolve(Buffer.from(`heap ${collect}`)),
    close() {},
  };
  return made;
};

describe('the pages of profiles', () => {
  it('are those that go tool pprof asks for', async () => {
    const index = await ask(fake(), '/debug/pprof/');
    expect(index.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(index.body).toContain("href='heap'");
    expect(await ask(fake(), '/debug/pprof')).toMatchObject({ status: 307 });
    const cpu = await ask(fake(), '/debug/pprof/profile?seconds=3');
    expect(cpu.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-disposition': 'attachment; filename="profile"',
    });
    expect((await bodyOf(cpu)).toString()).toBe('cpu 3');
    for (const query of ['', '?seconds=', '?seconds=0', '?seconds=-1', '?seconds=abc']) {
      const byDefault = await ask(fake(), `/debug/pprof/profile${query}`);
      expect((await bodyOf(byDefault)).toString()).toBe('cpu 30');
    }
    const heap = async (query: string) =>
      (await bodyOf(await ask(fake(), `/debug/pprof/heap${query}`))).toString();
    expect([await heap(''), await heap('?gc=1'), await heap('?gc=0')]).toEqual([
      ...['heap false', 'heap true', 'heap false'],
    ]);
  });

  it('know no kinds of Go, no long ones, and one at a time', async () => {
    for (const name of ['goroutine', 'block', 'mutex', 'symbol', 'trace', 'heap/', 'x/../heap']) {
      const answer = await ask(fake(), `/debug/pprof/${name.replace('../', '..%2F')}`);
      expect(answer).toMatchObject({ status: 404, body: 'Unknown profile\n' });
    }
    for (const seconds of [String(cpuProfileSecondsMax + 1), '9'.repeat(400)]) {
      const answer = await ask(fake(), `/debug/pprof/profile?seconds=${seconds}`);
      expect(answer.status).toBe(400);
    }
    const busy = { ...fake(), startCpu: () => undefined, heap: () => undefined };
    const answer = await ask(busy, '/debug/pprof/profile');
    expect(answer.status).toBe(500);
    expect(answer.body).toContain('cpu profiling already in use');
    expect((await ask(busy, '/debug/pprof/heap')).status).toBe(500);
  });

  it('give up a profile that nobody waits for any more', async () => {
    const profiler = fake();
    const { body } = await ask(profiler, '/debug/pprof/profile');
    if (typeof body === 'string' || body instanceof Uint8Array) throw new Error('at once');
    await body[Symbol.asyncIterator]().return?.();
    expect(profiler.cancelled).toBe(1);
  });
});

describe('the profiler of this process', () => {
  let profiler: Profiler | undefined;
  afterEach(() => profiler?.close());

  it('shows where CPU time goes', { timeout: 60_000 }, async () => {
    profiler = createProfiler();
    const profile = profiler.startCpu(1);
    expect(profiler.startCpu(1)).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 300));
    burnForAProfile(1500);
    const { measures, stacksWith } = decoded(Buffer.from((await profile?.done) ?? []));
    expect(measures).toEqual(['samples/count', 'cpu/nanoseconds']);
    const found = stacksWith('burnForAProfile');
    const sum = (i: number) => found.reduce((all, { values }) => all + (values[i] ?? 0), 0);
    // Most of 1.5 s at 100 samples a second, were the machine idle.
    expect(sum(0)).toBeGreaterThan(10);
    expect(sum(1)).toBeGreaterThan(1e8);
    expect(stacksWith('(idle)')).toEqual([]);
    // It can be taken again.
    profiler.startCpu(1)?.cancel();
  });

  it('shows what is in use of the memory', { timeout: 60_000 }, async () => {
    profiler = createProfiler();
    await profiler.heap(false);
    const held = holdForAProfile();
    const first = profiler.heap(true);
    expect(profiler.heap(true)).toBeUndefined();
    const { measures, stacksWith } = decoded(Buffer.from((await first) ?? []));
    expect(measures).toEqual(['inuse_objects/count', 'inuse_space/bytes']);
    const bytes = stacksWith('holdForAProfile').reduce((all, one) => all + (one.values[1] ?? 0), 0);
    // 64 MB are held; samples are an estimate.
    expect(bytes).toBeGreaterThan(20e6);
    expect(held).toHaveLength(400);
  });

  it('is given up with the server', async () => {
    profiler = createProfiler();
    const profile = profiler.startCpu(60);
    await profiler.heap(false);
    profiler.close();
    await expect(profile?.done).rejects.toThrow();
    expect(profiler.startCpu(1)).toBeUndefined();
    expect(profiler.heap(false)).toBeUndefined();
  });

  it('is there with --enable-pprof only', () => {
    const without = nodePorts(defaultConfig(), silentLogger);
    expect(without.profiler).toBeUndefined();
    without.close();
    const ports = nodePorts(defaultConfig('--enable-pprof'), silentLogger);
    expect(ports.profiler).toBeDefined();
    ports.close();
  });

  const timeout = 120_000;
  itWith(['pprof'], 'is read by the tool pprof', { timeout }, async () => {
    profiler = createProfiler();
    await profiler.heap(false);
    const held = holdForAProfile();
    const dir = mkdtempSync(join(tmpdir(), 'kvorum-pprof-'));
    try {
      writeFileSync(join(dir, 'heap'), (await profiler.heap(true)) ?? '');
      const top = await exec(toolPath('pprof'), ['-top', join(dir, 'heap')]);
      expect(top.code, top.stderr).toBe(0);
      const shown = top.stdout.toString('utf8');
      expect(shown).toContain('Type: inuse_space');
      expect(shown).toContain('holdForAProfile');
      expect(held).toHaveLength(400);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe('arguments that are shown', () => {
  it('are without secrets', () => {
    const argv = ['--name=a', '--discovery-password=x', '-discovery-user', 'u:p', '--name', 'b'];
    expect(withoutSecrets(argv)).toEqual([
      ...['--name=a', '--discovery-password=[not shown]', '-discovery-user', '[not shown]'],
      ...['--name', 'b'],
    ]);
  });
});
