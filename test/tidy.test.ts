/**
 * The rules of the house that a compiler does not know: which folder may depend on which, where the
 * outside world may be touched, how long things get. Each failure says what to do instead.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { mayImport, mayImportInside } from './helpers/arrows.js';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Source {
  /** From the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  /** Without comments and the contents of strings and templates: what is code. */
  readonly code: string;
  /** Module specifiers of imports and re-exports, types included. */
  readonly imports: readonly string[];
}

function sourcesBelow(folder: string): Source[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|mjs)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length).replaceAll('\\', '/'))
    .filter((path) => !path.includes('/generated/'))
    .sort()
    .map(readSource);
}

function readSource(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8');
  const specifiers = text.matchAll(/(?:^|[\s;}])(?:from|import)\s*\(?\s*'([^'\n]+)'/g);
  const imports = [...specifiers].map((match) => match[1] ?? '');
  return { path, text, lines: text.split('\n'), code: codeOf(text), imports };
}

/** Blanks comments, strings and regular expressions; keeps line breaks. */
function codeOf(text: string): string {
  const parts =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
  return text.replace(parts, (part) =>
    // What a template computes is code; its text does no harm here.
    part.startsWith('`') && part.includes('${') ? part : part.replace(/[^\n]/g, ' '),
  );
}

/** `path:line what` for each match of `pattern` in the code. */
function findings(sources: readonly Source[], pattern: RegExp, what: string): string[] {
  return sources.flatMap(({ path, code }) =>
    [...code.matchAll(new RegExp(pattern, `${pattern.flags}g`))].map((match) => {
      const line = code.slice(0, match.index).split('\n').length;
      return `${path}:${line} ${match[0].trim()}: ${what}`;
    }),
  );
}

/** Fails with all of `wrong`, one a line. */
function expectNone(wrong: readonly string[], instead = ''): void {
  if (wrong.length === 0) return;
  expect.fail([...wrong, instead].join('\n'));
}

const product = sourcesBelow('src');
const tests = sourcesBelow('test');
const others = sourcesBelow('bench');
const everything = [...product, ...others, ...tests];

describe('the tidy test itself', () => {
  it('reads the sources', () => {
    expect(product.length).toBeGreaterThan(50);
    expect(product.some(({ imports }) => imports.includes('node:fs'))).toBe(true);
  });

  it('tells arrows inside a folder that may not be', () => {
    const source = (path: string, ...imports: string[]): Source => {
      return { path, text: '', lines: [], code: '', imports };
    };
    const sources = [
      source('src/x/a/one.ts', './two.js', '../b/index.js', '../top.js', '../../common/index.js'),
      source('src/x/a/two.ts', '../b/inner.js'),
      source('src/x/b/inner.ts', '../a/index.js'),
      source('src/x/new.ts'),
      source('src/xy/c/other.ts', '../d/index.js'),
    ];
    const allowed = { a: ['b', 'top.ts'], b: [], 'top.ts': [] };
    expect(wrongInside('src/x', allowed, sources)).toEqual([
      'src/x/a/two.ts imports src/x/b/inner.js; import src/x/b/index.js',
      'src/x/b/inner.ts imports src/x/a/index.js; src/x/b may only import ',
      'src/x/new.ts: src/x/new.ts is not in mayImportInside',
    ]);
    expect(circlesOf(new Map(Object.entries({ a: ['b'], b: ['a'], c: ['a'] })))).toEqual([
      'a -> b -> a',
    ]);
  });

  it('does not take comments and strings for code', () => {
    const code = codeOf("a; // any\n/* any */ 'any' `any`; b");
    expect(code).not.toContain('any');
    expect(code.split('\n')).toHaveLength(2);
    expect(code).toContain('b');
  });
});

/** `src/server/ports/x.ts` -> `server`. */
function folderOf(path: string): string {
  return path.split('/')[1] ?? '';
}

function importsAcross(source: Source): Array<{ readonly target: string; readonly to: string }> {
  const here = folderOf(source.path);
  return source.imports
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => posix.normalize(posix.join(dirname(source.path), specifier)))
    .filter((target) => target.startsWith('src/') && folderOf(target) !== here)
    .map((target) => ({ target, to: folderOf(target) }));
}

describe('dependencies between folders of src', () => {
  it('point one way', () => {
    const wrong = product.flatMap((source) => {
      const here = folderOf(source.path);
      const allowed = mayImport[here];
      if (allowed === undefined) return [`${source.path}: folder ${here} is not in mayImport`];
      return importsAcross(source)
        .filter(({ to }) => !allowed.includes(to))
        .map(
          ({ target }) => `${source.path} imports ${target}; ${here} may only import ${allowed}`,
        );
    });
    expectNone(wrong);
  });

  it('go through index.ts', () => {
    const wrong = product.flatMap((source) =>
      importsAcross(source)
        .filter(({ target, to }) => target !== `src/${to}/index.js` && !isSubIndex(source, target))
        .map(({ target, to }) => `${source.path} imports ${target}; import src/${to}/index.js`),
    );
    expectNone(wrong);
  });

  it('point one way inside a folder, too, and go through index.ts', () => {
    const wrong = Object.entries(mayImportInside).flatMap(([folder, allowed]) =>
      wrongInside(folder, allowed, product),
    );
    expectNone(wrong);
  });

  it('are written down inside a folder without circles, and without what is gone', () => {
    const wrong = Object.entries(mayImportInside).flatMap(([folder, allowed]) => [
      ...circlesOf(new Map(Object.entries(allowed))).map((circle) => `${folder}: ${circle}`),
      ...Object.keys(allowed)
        .filter((name) => !product.some(({ path }) => placeIn(folder, path) === name))
        .map((name) => `${folder}/${name} is in mayImportInside, but not there`),
    ]);
    expectNone(wrong);
  });

  it('have no test, bench or script in them', () => {
    const wrong = product.flatMap(({ path, imports }) =>
      imports
        .filter((specifier) => /(^|\/)(test|bench|scripts)\//.test(specifier))
        .map((specifier) => `${path} imports ${specifier}; nothing in src may`),
    );
    expectNone(wrong);
  });

  it('have no cycle between files', () => {
    expectNone(cycles(product));
  });

  it('have no cycle between files, imports of types counted', () => {
    const graph = new Map(product.map((source) => [source.path, relativeImports(source)]));
    const wrong = circlesOf(graph);
    expectNone(wrong);
  });
});

function relativeImports(source: Source): string[] {
  return source.imports
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => posix.join(dirname(source.path), specifier).replace(/\.js$/, '.ts'));
}

/** The folder or file directly in `folder` that `path` is or is in; undefined: it is elsewhere. */
function placeIn(folder: string, path: string): string | undefined {
  if (!path.startsWith(`${folder}/`)) return undefined;
  const [name] = path.slice(folder.length + 1).split('/');
  return name?.replace(/\.js$/, '.ts');
}

/** What is wrong with the imports among the folders and files directly in `folder`. */
function wrongInside(
  folder: string,
  allowed: Readonly<Record<string, readonly string[]>>,
  sources: readonly Source[],
): string[] {
  return sources.flatMap((source) => {
    const here = placeIn(folder, source.path);
    if (here === undefined) return [];
    const mine = allowed[here];
    if (mine === undefined) return [`${source.path}: ${folder}/${here} is not in mayImportInside`];
    return source.imports
      .filter((specifier) => specifier.startsWith('.'))
      .map((specifier) => posix.join(dirname(source.path), specifier))
      .flatMap((target) => {
        const to = placeIn(folder, target);
        if (to === undefined || to === here) return [];
        const what = `${source.path} imports ${target}`;
        if (!mine.includes(to)) return [`${what}; ${folder}/${here} may only import ${mine}`];
        // What is generated is one file, and its imports were looked at above.
        if (to === 'generated') return [];
        const door = to.endsWith('.ts') ? target : `${folder}/${to}/index.js`;
        return target === door ? [] : [`${what}; import ${door}`];
      });
  });
}

/**
 * What is simulated beside a member, and the ports on Node, have entrances of their own: nobody
 * loads what they do not use. A simulated link to other members is made of the real one's pieces.
 */
function isSubIndex(source: Source, target: string): boolean {
  if (/^src\/(sim\/member|common\/node|client\/raw)\/index\.js$/.test(target)) return true;
  const isSimulated = source.path.startsWith('src/sim/member/');
  return isSimulated && /^src\/server\/(peers|metrics)\/index\.js$/.test(target);
}

/** Files that import each other in a circle through what is there at run time. */
function cycles(sources: readonly Source[]): string[] {
  return circlesOf(new Map(sources.map((source) => [source.path, runtimeImports(source)])));
}

/** The circles in a graph, as `a -> b -> a`. */
function circlesOf(edges: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) found.push([...trail.slice(at), path].join(' -> '));
    if (at >= 0 || done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return found;
}

function runtimeImports(source: Source): string[] {
  const statements = source.text.matchAll(
    /^(?:import|export)\s+(?!type\b)([^;]*?)from\s+'(\.[^']+)';/gm,
  );
  return [...statements]
    .filter(([, names = '']) => !/^\{(\s*type\s[^,}]*,?)*\s*\}\s*$/.test(names))
    .map(([, , specifier = '']) => posix.join(dirname(source.path), specifier))
    .map((target) => target.replace(/\.js$/, '.ts'));
}

/** Modules that only their adapter may import, and what everybody else uses. */
const modules: ReadonlyArray<readonly [string, readonly string[], string]> = [
  [
    'node:fs',
    [
      'src/server/platform/disk-node.ts',
      'src/server/platform/process-facts.ts',
      'src/server/platform/rotating-log.ts',
      'src/cli/ctl-io.ts',
      'src/cli/files.ts',
      // Before there are ports.
      'src/launch/code-cache.ts',
      'src/launch/folder-place.ts',
      'src/launch/native-code.ts',
      'src/launch/single.ts',
    ],
    'use the Disk port',
  ],
  [
    'node:fs/promises',
    [
      'src/cli/ctl-io.ts',
      'src/cli/staged-file.ts',
      'src/server/platform/rotating-log.ts',
      'src/storage/level/kv-level.ts',
      'src/storage/level/table-reads.ts',
    ],
    'use the Disk port',
  ],
  [
    'node:net',
    [
      'src/server/platform/accepted-socket.ts',
      'src/server/platform/first-byte.ts',
      'src/server/platform/network-node.ts',
      'src/server/platform/tls-node.ts',
      'src/server/platform/tls-presented.ts',
      'src/client/connection/network-node.ts',
      'src/transport/host-lookup.ts',
      'src/transport/socket-stream.ts',
      'src/cli/warm-up/pipe-network.ts',
      // Between members of a cluster to play with, whose links are cut.
      'src/cli/up/wires.ts',
    ],
    'use the Network port',
  ],
  [
    'node:tls',
    [
      'src/server/platform/network-node.ts',
      'src/server/platform/tls-node.ts',
      'src/server/platform/tls-presented.ts',
      'src/client/connection/network-node.ts',
      // Only types.
      'src/client/raw/plain-get.ts',
      'src/transport/socket-stream.ts',
    ],
    'use the Network port',
  ],
  ['node:dgram', [], 'use the Network port'],
  ['node:dns', ['src/transport/host-lookup.ts'], 'use the Network port'],
  [
    'node:http',
    ['src/server/platform/http1-node.ts', 'src/client/raw/plain-get.ts'],
    'use HttpHandler of the transport',
  ],
  ['node:https', ['src/client/raw/plain-get.ts'], 'use HttpHandler of the transport'],
  ['node:http2', [], 'use the transport'],
  ['node:timers', [], 'use the Clock port'],
  ['node:timers/promises', [], 'use the Clock port'],
  ['node:events', [], 'call a function'],
  [
    'node:worker_threads',
    [
      'src/server/platform/io-threads/network.ts',
      'src/server/platform/io-threads/socket-thread.ts',
    ],
    'measure first what they gain (docs/adr/0013-io-threads.md)',
  ],
  [
    'node:child_process',
    [
      'src/server/platform/systemd.ts',
      // Not of a server: `watch -- PROGRAM`, `lock NAME PROGRAM`.
      'src/cli/programs.ts',
      // No server: `kvorum up` runs members as what they are, processes that can be killed.
      'src/cli/up/member-process.ts',
    ],
    'a server starts no programs',
  ],
  [
    'node:perf_hooks',
    [
      'src/server/metrics/loop-lag.ts',
      'src/launch/old-generation.ts',
      'src/launch/young-generation.ts',
    ],
    'use the Clock port',
  ],
  [
    'node:os',
    ['src/server/platform/memory.ts', 'src/launch/native-code.ts', 'src/launch/single.ts'],
    'pass it in',
  ],
  ['aws4fetch', ['src/backup/s3/s3-http.ts'], 'use a BackupTarget'],
  ['classic-level', ['src/storage/level/kv-level.ts'], 'use the KvStore port'],
  ['prom-client', ['src/server/metrics/registry.ts'], 'add a number to Metrics'],
  [
    'pino',
    ['src/server/platform/logger-pino.ts', 'src/server/platform/rotating-log.ts'],
    'use the Logger port',
  ],
  ['nanotar', ['src/ctl/look/diagnose/diagnose.ts'], 'only reports are archives'],
  ['pprof-format', ['src/server/platform/pprof.ts'], 'use the Profiler port'],
  ['ws', ['src/server/platform/websocket-node.ts'], 'answer with `webSocket`'],
  ['liquidjs', ['src/ctl/data/render/template.ts'], 'templates are rendered there'],
  ['yaml', ['src/server/options/config-file.ts'], 'the only YAML is --config-file'],
  ['node-forge', ['src/server/platform/self-signed.ts'], 'node:crypto reads certificates'],
  [
    '@grpc/grpc-js',
    ['src/client/connection/grpc-js-link.ts', 'src/client/discovery/grpc-js-resolver.ts'],
    'use the Channel interface',
  ],
];

const clockFile = 'src/common/node/clock.ts';

/** Globals that only their adapter may use, and what everybody else uses. */
const globals: ReadonlyArray<readonly [RegExp, readonly string[], string]> = [
  [/\bDate\.now\(/, [clockFile, 'src/client/connection/runtime-node.ts'], 'use Clock.wallMs'],
  [/\bnew Date\(\)/, [], 'use Clock.wallMs'],
  [/\bperformance\.now\(/, [clockFile], 'use Clock.nowMs'],
  [/\bprocess\.hrtime\b/, [], 'use Clock.nowMs'],
  [/\bMath\.random\(/, ['src/client/connection/runtime-node.ts'], 'use the Random port'],
  [
    /(?<![.\w])(setTimeout|setInterval)\(/,
    [
      clockFile,
      'src/server/platform/first-byte.ts',
      'src/server/platform/http1-node.ts',
      'src/server/platform/network-node.ts',
      'src/cli/kvorum.ts',
    ],
    'use Clock.after',
  ],
  [
    /(?<![.\w])(setImmediate|process\.nextTick)\(/,
    [clockFile, 'src/server/platform/network-node.ts', 'src/sim/clock.ts'],
    'use Clock.afterTurn',
  ],
  [
    /\bprocess\.(env|argv|exit|exitCode|stdout|stderr|stdin|on|once|kill|cwd|chdir)\b/,
    [
      'src/cli/ctl-io.ts',
      'src/cli/kvorum.ts',
      'src/launch/single.ts',
      'src/client/connection/runtime-node.ts',
    ],
    'the command passes it in',
  ],
  // S3 is HTTP with proxies, redirects and trust stores, which is what the platform's fetch is for;
  // and what a server's /metrics say, for `check datascale`.
  [/\bfetch\(/, ['src/backup/s3/s3-http.ts', 'src/cli/ctl-io.ts'], 'use the Network port'],
];

describe('the outside world', () => {
  it('is imported in one adapter each', () => {
    const wrong = product.flatMap(({ path, imports }) =>
      modules
        .filter(([name, adapters]) => imports.includes(name) && !adapters.includes(path))
        .map(([name, adapters, instead]) => `${path} imports ${name} (${adapters}): ${instead}`),
    );
    expectNone(wrong);
  });

  it('is used in one adapter each', () => {
    const wrong = globals.flatMap(([pattern, adapters, instead]) =>
      findings(
        product.filter(({ path }) => !adapters.includes(path)),
        pattern,
        instead,
      ),
    );
    expectNone(wrong);
  });

  it('has no adapter in these lists that is not there any more', () => {
    const paths = new Set(product.map(({ path }) => path));
    const listed = [...modules, ...globals].flatMap(([, adapters]) => adapters);
    expectNone(listed.filter((path) => !paths.has(path)));
  });

  it('does not exist for src/raft', () => {
    const wrong = product
      .filter(({ path }) => path.startsWith('src/raft/'))
      .flatMap(({ path, imports }) =>
        imports
          .filter((specifier) => !specifier.startsWith('.'))
          .map((specifier) => `${path} imports ${specifier}: the core is pure (R-34)`),
      );
    const asynchronous = findings(
      product.filter(({ path }) => path.startsWith('src/raft/')),
      /\b(async|await|Promise)\b/,
      'the core is synchronous; the driver waits',
    );
    expectNone([...wrong, ...asynchronous]);
  });
});

const fileLinesMax = 600;
const lineCharactersMax = 100;
/** Of a comment that quotes what can't be broken: a text of etcd's, a command. */
const commentCharactersMax = 110;

describe('size', () => {
  it(`of a file is at most ${fileLinesMax} lines`, () => {
    const wrong = everything
      .filter(({ lines, path }) => lines.length - 1 > fileLinesMax && !path.startsWith('test/'))
      .map(({ path, lines }) => `${path} has ${lines.length} lines: split it by concept`);
    expectNone(wrong);
  });

  it(`of a line is at most ${lineCharactersMax} characters`, () => {
    const wrong = everything.flatMap(({ path, lines }) =>
      lines.flatMap((line, i) =>
        line.length > lineCharactersMax && !isOneLiteral(line) ? [`${path}:${i + 1}`] : [],
      ),
    );
    expectNone(wrong, 'break these lines (biome check --write breaks code)');
  });

  it(`of a comment line is at most ${commentCharactersMax} characters, whatever it quotes`, () => {
    const wrong = everything.flatMap(({ path, lines }) =>
      lines.flatMap((line, i) =>
        line.length > commentCharactersMax && isComment(line) ? [`${path}:${i + 1}`] : [],
      ),
    );
    expectNone(wrong, 'break these lines');
  });

  it.each([
    ["// that a text is long: 'xxx'", true],
    [" * that a text is long: 'xxx'", true],
    ["const text = 'xxx'; // say why", false],
    ["expect('xxx').toBe(1);", false],
  ])('takes %j for a comment line: %s', (line, expected) => {
    expect(isComment(line)).toBe(expected);
  });

  it('of a file name is kebab case', () => {
    const wrong = everything
      .filter(({ path }) => !/^[a-z0-9/.-]+\.(ts|mjs)$/.test(path))
      .map(({ path }) => `${path}: name it in kebab-case`);
    expectNone(wrong);
  });
});

function isComment(line: string): boolean {
  return /^\s*(\/\/|\/\*|\*)/.test(line);
}

/** A string that the formatter can't break either. */
function isOneLiteral(line: string): boolean {
  return /^\s*(\/\/ )?['"`/].{90,}$/.test(line) || /['"`].{60,}['"`]/.test(line);
}

describe('code', () => {
  it.each([
    [
      /\bas any\b|<any\b|, any>|[:|&] any(\[\])*(?=[;,)=|&>}]| =)/,
      'say what it is, or `unknown`',
      everything,
    ],
    [/\bexport default\b/, 'export by name', everything.filter((s) => !/config\.ts$/.test(s.path))],
    [/^\s*(export )?(declare )?(const )?enum\s/m, 'use an `as const` object', everything],
    [/\bEventEmitter\b/, 'call a function', product],
    [/\bconsole\./, 'use the Logger port', product],
    [/\bdebugger\b/, 'remove it', everything],
    [/\b(eval|Function)\(/, 'no code from strings', product],
    [/@ts-(ignore|nocheck)/, 'fix the type', everything],
    [
      /^\s*(private|protected|public)\s/m,
      'write #, which holds at run time, too',
      [...product, ...others],
    ],
  ] as const)('has no %s', (pattern, instead, sources) => {
    expectNone(findings(sources, pattern, instead));
  });

  it('extends nothing but Error', () => {
    const wrong = findings(product, /\bclass \w+(<[^>]*>)? extends (?!Error\b)\w+/, 'compose');
    expectNone(wrong.filter((text) => !text.startsWith('src/server/ports/')));
  });

  it('has nothing left to do in its comments', () => {
    const marks = /\b(TODO|FIXME|XXX|HACK)\b/;
    const wrong = everything
      .filter(({ path }) => path !== 'test/tidy.test.ts')
      .flatMap(({ path, lines }) =>
        lines.flatMap((line, i) => (marks.test(line) ? [`${path}:${i + 1} ${line.trim()}`] : [])),
      );
    expectNone(wrong, 'do it, or say in docs what is missing');
  });

  it('says at the head of each file what it is for', () => {
    const wrong = product
      .filter(({ text, path }) => !path.endsWith('/index.ts') && !/^\/\*\*/.test(text))
      .map(({ path }) => `${path}: begin with a /** comment: role, invariants, source */`);
    expectNone(wrong);
  });
});

/** Where state machines live, folders and files: each by itself holds its invariants. */
const stateMachines: readonly string[] = [
  'src/client/call/',
  'src/client/connection/',
  'src/client/coordination/held-key.ts',
  'src/client/coordination/owned-key.ts',
  'src/client/coordination/session.ts',
  'src/client/lease/',
  'src/client/watch/',
  'src/raft/',
  'src/server/lease/',
  'src/server/membership/',
  'src/server/node/',
  'src/server/peers/',
  'src/server/transfer/',
  'src/server/watch/',
  'src/sim/',
  'src/storage/index/',
  'src/storage/level/',
  'src/storage/mvcc/',
  'src/storage/recovery/',
  'src/storage/transfer/',
  'src/storage/wal/',
  'src/transport/',
];

const linesPerAssertionMax = 150;

describe('assertions', () => {
  it(`are at least one in ${linesPerAssertionMax} lines where state machines live`, () => {
    const wrong = stateMachines.flatMap((place) => {
      const here = product.filter(({ path }) => path.startsWith(place));
      if (here.length === 0) return [`${place} is not there any more`];
      const lines = here.reduce((sum, source) => sum + source.lines.length - 1, 0);
      const assertions = here.reduce((sum, source) => sum + assertionsIn(source.code), 0);
      if (assertions * linesPerAssertionMax >= lines) return [];
      return [`${place} has ${assertions} in ${lines} lines: say what holds between its steps`];
    });
    expectNone(wrong);
  });

  it('are counted where they are made, not where they are imported or spoken of', () => {
    const text = "import { assert } from 'x';\n// assert(a)\nassert(a, 'b');\npresent(c, 'd');";
    expect(assertionsIn(codeOf(text))).toBe(2);
  });
});

function assertionsIn(code: string): number {
  return [...code.matchAll(/(?<![.\w])(assert|assertNever|present)\(/g)].length;
}

describe('tests', () => {
  it('are all run', () => {
    const wrong = findings(
      tests.filter(({ path }) => path !== 'test/tidy.test.ts'),
      /\b(it|test|describe)(\.\w+)*\.(only|todo)\b/,
      'run all of them; skip with the reason in the name',
    );
    expectNone(wrong);
  });
});
