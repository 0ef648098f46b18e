/**
 * Which outside programs this machine has (test/setup.mjs found them), and describe blocks that
 * skip when one is missing.
 *
 * A skipped block carries the reason in its name: a green run on a machine without etcd must show
 * what it did not look at.
 */

import { fileURLToPath } from 'node:url';
import { describe, inject, it, type TestOptions } from 'vitest';

/**
 * A program that a test may need beside Node. `etcd` and `etcdctl` are the newest that there are;
 * with a number they are of that version, 37 built from Go modules (scripts/go-programs.mjs).
 */
export type Tool =
  | 'debian-package'
  | 'etcd'
  | 'etcd34'
  | 'etcd37'
  | 'etcdctl'
  | 'etcdctl34'
  | 'etcdctl37'
  | 'etcdutl37'
  | 'git'
  | 'go-client'
  | 'go-recipes'
  | 'grpcurl'
  | 'h2spec'
  | 'helm'
  | 'ipv6'
  | 'kvorum'
  | 'npm-registry'
  | 'linters'
  | 'openssl'
  | 'patroni'
  | 'postgresql'
  | 'pprof'
  | 'promtool'
  | 'python3'
  | 'python3-etcd3'
  | 'python3-etcd3gw'
  | 's3-server'
  | 'single-executable'
  | 'systemd-analyze';

/** Where a tool is, why it cannot be had here, or what went wrong when it was made. */
export interface ToolState {
  readonly path?: string;
  readonly why?: string;
  readonly error?: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    tools: Readonly<Record<Tool, ToolState>>;
  }
}

/** Absolute path of the repository. */
export const repoRoot = fileURLToPath(new URL('../..', import.meta.url));

/** Absolute path of the server under test; KVORUM_TEST_BIN names another build of it. */
export const kvorumBin = process.env.KVORUM_TEST_BIN ?? `${repoRoot}bin/kvorum`;

/** The long versions of the tests run when KVORUM_SLOW=1. */
export const slow = process.env.KVORUM_SLOW === '1';

const tools = inject('tools');

/** True if the tool can be run here, or should be: one that does not build must fail tests. */
export function have(tool: Tool): boolean {
  return tools[tool].why === undefined;
}

/** The program to run; throws where there is none. */
export function toolPath(tool: Tool): string {
  const { path, why, error } = tools[tool];
  if (path === undefined) throw new Error(error ?? why);
  return path;
}

/** `describe`, skipped with the reason in its name when one of the tools is missing. */
export function describeWith(needed: readonly Tool[], name: string, body: () => void): void {
  const reason = reasonToSkip(needed);
  if (reason === '') describe(name, body);
  else describe.skip(`${name}${reason}`, body);
}

/** `it`, skipped in the same way. */
export function itWith(
  needed: readonly Tool[],
  name: string,
  options: TestOptions,
  body: () => Promise<void>,
): void {
  const reason = reasonToSkip(needed);
  if (reason === '') it(name, options, body);
  else it.skip(`${name}${reason}`, options, body);
}

/** What is added to the name of what is skipped for want of tools; '' if all are there. */
export function reasonToSkip(needed: readonly Tool[]): string {
  const whys = needed.flatMap((tool) => tools[tool].why ?? []);
  return whys.length === 0 ? '' : ` (skipped: ${[...new Set(whys)].join(', ')})`;
}
