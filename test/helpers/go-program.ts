/** Builds a Go program once and keeps the binary between runs. */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exec } from './exec.js';

/**
 * Builds the Go module in `dir` into the system's temp folder, unless the same sources were built
 * before. Returns the path of the binary; rejects with the compiler's words.
 */
export async function buildGoProgram(dir: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of readdirSync(dir).sort()) {
    hash.update(`${name}\0`).update(readFileSync(join(dir, name)));
  }
  const folder = join(tmpdir(), `kvorum-interop-go-${hash.digest('hex').slice(0, 16)}`);
  const binary = join(folder, 'interop');
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  // Built under a name of its own, so that no other run ever starts half a binary.
  const partial = `${binary}.${process.pid}`;
  const build = await exec('go', ['build', '-o', partial, '.'], {
    cwd: dir,
    timeoutMs: 300_000,
    env: { GOFLAGS: '-mod=readonly' },
  });
  if (build.code !== 0) throw new Error(`go build failed:\n${build.stderr}`);
  renameSync(partial, binary);
  return binary;
}
