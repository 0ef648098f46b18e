/**
 * `npm test` on machines that are not as one would wish: each runs this checkout's tests once more,
 * in an environment of its own. What can be done there is done, what can not is left out by name.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { exec, type Finished } from '../helpers/exec.js';
import { have, repoRoot } from '../helpers/tools.js';

/** Only ends what hangs. */
const timeoutMs = 600_000;
let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kvorum-setup-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Runs some test files of this checkout. */
function runTests(files: readonly string[], env: Readonly<Record<string, string>>) {
  const vitest = join(repoRoot, 'node_modules/vitest/vitest.mjs');
  const clean = { NO_COLOR: '1', FORCE_COLOR: '0', VITEST: '', VITEST_WORKER_ID: '' };
  return exec(process.execPath, [vitest, 'run', ...files], {
    cwd: repoRoot,
    env: { ...clean, ...env },
    timeoutMs,
  });
}

function said({ stdout, stderr }: Finished): string {
  return `${stderr}\n${stdout}`;
}

const goSuites = [
  'test/interop/h2spec.test.ts',
  'test/interop/go-client.test.ts',
  'test/client/coordination/go.test.ts',
  'test/client/discovery/go.test.ts',
];

it('leaves out by name what needs Go where no module can be fetched', {
  timeout: timeoutMs,
}, async () => {
  // Nothing was built before, and nothing is in Go's cache.
  const env = { TMPDIR: dir, GOMODCACHE: join(dir, 'mod'), GOPROXY: 'off', GOFLAGS: '-mod=mod' };
  const run = await runTests(goSuites, { ...env, KVORUM_CLIENT_TARGETS: 'kvorum' });
  expect(run.code, said(run)).toBe(0);
  const why = /Go (modules cannot be fetched|is not installed)/;
  expect(said(run)).toMatch(new RegExp(`the conformance suite of HTTP/2: ${why.source}`));
  expect(said(run)).toMatch(/Test Files +4 skipped \(4\)/);
});

it('says first what runs, and counts the files that are done', { timeout: timeoutMs }, async () => {
  const files = ['test/ports/random.test.ts', 'test/helpers/mask.test.ts'];
  const run = await runTests(files, {});
  expect(run.code, said(run)).toBe(0);
  expect(run.stderr).toContain('kvorum: 2 test files, two at a time');
  expect(said(run)).toMatch(/ 1\/2 \d+:\d\d ✓ test\//);
  expect(said(run)).toMatch(/ 2\/2 \d+:\d\d ✓ test\//);
});

it('does not care for proxies, locale, time zone and home of who runs it', {
  timeout: timeoutMs,
}, async () => {
  const nowhere = 'http://127.0.0.1:1';
  const proxies = { http_proxy: nowhere, HTTPS_PROXY: nowhere, grpc_proxy: nowhere };
  const place = { TZ: 'Pacific/Chatham', LC_ALL: 'tr_TR.UTF-8', HOME: '/nonexistent' };
  const files = ['test/e2e/http.test.ts', 'test/client/kv.test.ts'];
  const run = await runTests(files, { ...proxies, ...place, KVORUM_CLIENT_TARGETS: 'kvorum' });
  expect(run.code, said(run)).toBe(0);
  if (have('kvorum')) expect(said(run)).toMatch(/Test Files +2 passed \(2\)/);
});
