/**
 * Advisories of etcd, and of what we stand on, that are a server's business: each has a test that
 * bears its name. The rest is here, where there is nothing to attack but a version.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { repoRoot } from '../helpers/tools.js';

/** The name, and what it is about. */
const advisories: readonly (readonly [id: string, about: string])[] = [
  ['CVE-2018-16886', 'the name of a certificate through the gateway'],
  ['CVE-2018-5702', 'pages of a browser that reach a server on the same machine'],
  ['CVE-2020-15106', 'a huge length in the write-ahead log'],
  ['CVE-2020-15112', 'an index out of range in the write-ahead log'],
  ['CVE-2020-15113', 'a data directory that others may read'],
  ['CVE-2020-15115', 'passwords of no length'],
  ['GHSA-528j-9r78-wffx', 'credentials in the write-ahead log'],
  ['CVE-2021-28235', 'a password in debugging pages'],
  ['CVE-2023-32082', 'the keys of a lease'],
  ['CVE-2026-33413', 'rpcs that nobody looked at'],
  ['CVE-2026-33343', 'nested transactions'],
  ['CVE-2026-44283', 'puts that read, or take a lease'],
  ['GHSA-xg4h-6gfc-h4m8', 'watches of more than may be read'],
  ['CVE-2026-73500', 'handshakes that are never finished (GHSA-6vch-q96h-7gc3)'],
  ['GHSA-3wh4-j44w-pg92', 'a listener that knows of no revoked certificates'],
  ['CVE-2023-44487', 'streams that are opened and reset'],
  ['CVE-2024-27316', 'header blocks without end'],
];

function testTexts(): readonly string[] {
  return readdirSync(join(repoRoot, 'test'), { recursive: true, withFileTypes: true })
    .filter(({ name }) => name.endsWith('.test.ts') && name !== 'advisories-list.test.ts')
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
}

describe('each advisory', () => {
  const texts = testTexts();
  it.each(advisories)('%s (%s) has a test that bears its name', (id) => {
    expect(texts.filter((text) => text.includes(id)).length).toBeGreaterThan(0);
  });
});

/** As numbers, so that 1.10 is more than 1.9. */
function isAtLeast(version: string, least: string): boolean {
  const [a, b] = [version, least].map((text) => text.split('.').map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

describe('packages are of versions without known holes', () => {
  it.each([
    ['@grpc/grpc-js', '1.14.4', 'CVE-2024-37168, CVE-2026-48068, CVE-2026-48069'],
    ['protobufjs', '8.0.2', 'CVE-2026-44289, CVE-2026-44291, CVE-2026-44292, CVE-2023-36665'],
    ['msgpackr', '1.10.1', 'CVE-2023-52079'],
  ])('%s is %s or newer: %s', (name, least) => {
    const require = createRequire(import.meta.url);
    const file = require.resolve.paths(name)?.map((dir) => join(dir, name, 'package.json')) ?? [];
    const [text] = file.flatMap((path) => {
      try {
        return [readFileSync(path, 'utf8')];
      } catch {
        return [];
      }
    });
    const { version } = JSON.parse(text ?? '{}') as { readonly version?: string };
    expect(isAtLeast(version ?? '0', least), `${name} ${version}`).toBe(true);
  });

  it('Node is one that bears floods of CONTINUATION (CVE-2024-27983)', () => {
    const { engines } = JSON.parse(readFileSync(join(repoRoot, 'package.json'), 'utf8')) as {
      readonly engines: { readonly node: string };
    };
    for (const [least = ''] of engines.node.matchAll(/\d+\.\d+/g)) {
      expect(isAtLeast(`${least}.0`, '20.12.1'), engines.node).toBe(true);
    }
  });

  it('compares versions as numbers', () => {
    expect(isAtLeast('1.10.1', '1.9.9')).toBe(true);
    expect(isAtLeast('1.9.9', '1.10.1')).toBe(false);
    expect(isAtLeast('8.0.2', '8.0.2')).toBe(true);
  });
});
