/** The reports in docs/api are what is exported; and the tool that writes them sees what matters. */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { apiReports, reportDir, writeApiReports } from '../../scripts/api-report.mjs';
import { describeWith, repoRoot } from '../helpers/tools.js';

describeWith(['kvorum'], 'docs/api', () => {
  it('has the reports of what is exported', async () => {
    const reports = await apiReports(repoRoot);
    const hint =
      'the public surface has changed: run `npm run api`, and tell users in CHANGELOG.md';
    const written = readdirSync(join(repoRoot, reportDir)).filter((name) =>
      /\.api\.md$/.test(name),
    );
    expect(written.sort(), hint).toEqual([...reports.keys()].sort());
    for (const [name, text] of reports) {
      expect(readFileSync(join(repoRoot, reportDir, name), 'utf8'), hint).toBe(text);
    }
  });
});

describe('the report', () => {
  let dir = '';
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  };
  const report = async (name = 'pkg.api.md') => (await apiReports(dir)).get(name) ?? '';

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'kvorum-api-'));
    const exports = {
      '.': { types: './dist/index.d.ts' },
      './more': { types: './dist/more.d.ts' },
    };
    write('package.json', JSON.stringify({ name: 'pkg', exports }));
    write('dist/more.d.ts', 'export interface Shared {\n    readonly a: number;\n}\n');
    write(
      'dist/index.d.ts',
      [
        "export { start as begin } from './start.js';",
        "export type * from './types.js';",
        'export declare const url: "http://x"; // a comment',
      ].join('\n'),
    );
    write(
      'dist/start.d.ts',
      [
        "import type { Socket } from 'node:net';",
        "import type { Options } from './types.js';",
        "import type { Shared } from './more.js';",
        "import { Engine } from './engine.js';",
        '/** Starts. */',
        'export declare function start(options: Options, socket: Socket): Engine;',
        'export declare function start(shared: Shared): Hidden;',
        'interface Hidden {',
        '    readonly deep: Deep;',
        '}',
        'type Deep = /* why */ string;',
        'interface Unused {',
        '}',
        'export {};',
      ].join('\n'),
    );
    write(
      'dist/types.d.ts',
      [
        'export declare class Handle<T> {',
        '    #private;',
        '    private readonly inner;',
        '    /** Which. */',
        '    readonly id: T;',
        '    private constructor();',
        '}',
        'export interface Options {',
        '    readonly ms: number;',
        '    /**',
        '     * @internal For tests.',
        '     */',
        '    readonly ours: Ours;',
        '}',
        'interface Ours {',
        '}',
      ].join('\n'),
    );
    write('dist/engine.d.ts', 'export declare class Engine {\n    insides: number;\n}\n');
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('has what is exported and what that leads to, each once, and nothing that binds nobody', async () => {
    expect(await report()).toBe(`# What \`pkg\` exports

\`npm run api\` wrote this from the declarations of the build. Do not edit it; a change of it is a
change of what others build on, and belongs into CHANGELOG.md.

## Exported

\`\`\`ts
class Handle<T> {
    readonly id: T;
    private constructor();
}

interface Options {
    readonly ms: number;
}

// exported as begin
function start(options: Options, socket: Socket): Engine;

// exported as begin
function start(shared: Shared): Hidden;

const url: "http://x";
\`\`\`

## Reached by what is exported

\`\`\`ts
type Deep = string;

interface Hidden {
    readonly deep: Deep;
}
\`\`\`

## Classes reached whose insides are ours

- \`Engine\`

## Taken from elsewhere

- \`Shared\` from \`pkg/more\`
- \`Socket\` from \`node:net\`
`);
  });

  it('changes with a type that is reached, and not with a file that moves', async () => {
    const before = await report();
    write('dist/inside/engine.d.ts', readFileSync(join(dir, 'dist/engine.d.ts'), 'utf8'));
    const start = readFileSync(join(dir, 'dist/start.d.ts'), 'utf8');
    write('dist/start.d.ts', start.replace('./engine.js', './inside/engine.js'));
    expect(await report()).toBe(before);
    write('dist/start.d.ts', start.replace('/* why */ string', 'number'));
    expect(await report()).not.toBe(before);
  });

  it('is removed with its entry', async () => {
    await writeApiReports(dir);
    expect(readdirSync(join(dir, reportDir)).sort()).toEqual(['pkg.api.md', 'pkg.more.api.md']);
    const exports = { '.': { types: './dist/index.d.ts' } };
    write('package.json', JSON.stringify({ name: 'pkg', exports }));
    await writeApiReports(dir);
    expect(readdirSync(join(dir, reportDir))).toEqual(['pkg.api.md']);
  });

  it('does not pass over an export that is not there', async () => {
    write('dist/index.d.ts', "export { nobody } from './start.js';");
    await expect(report()).rejects.toThrow(/exports no nobody/);
  });
});
