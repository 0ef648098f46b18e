/**
 * The packages that are published: what is in them, and that they work from their tarballs, in
 * empty folders. No registry is asked; installed.test.ts does that.
 */

import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { parseAst } from 'rolldown/parseAst';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageFolders } from '../../scripts/packages/index.mjs';
import { exec } from '../helpers/exec.js';
import { useServer } from '../helpers/server.js';
import { describeWith, repoRoot } from '../helpers/tools.js';
import { type Assembled, assemble, type Folder, lend, must } from './assembled.js';
import { npmOffline } from './clone.js';
import {
  clientProgram,
  commonJsOf,
  lateProgram,
  nodeTest,
  serverProgram,
  typed,
  typedProject,
  vitestTest,
} from './programs.js';

/** Only ends what hangs. */
const timeoutMs = 300_000;
/** What a user gives for the client: the whole of node_modules, and packages in it. */
const clientBytesMax = 5_000_000;
const clientPackagesMax = 10;

/** For a run of vitest inside of one. */
const quiet = { NO_COLOR: '1', FORCE_COLOR: '0', VITEST: '', VITEST_WORKER_ID: '' };

let all: Assembled;

const checkout = JSON.parse(readFileSync(join(repoRoot, 'package.json'), 'utf8'));

function filesBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function bytesBelow(dir: string): number {
  return filesBelow(dir).reduce((sum, file) => sum + statSync(file).size, 0);
}

/** Names of modules that a file of JavaScript or of declarations asks for. */
function askedFor(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const isTyped = /\.d\.c?ts$/.test(file);
  const found: string[] = [];
  visit(parseAst(text, { lang: isTyped ? 'dts' : 'js' }) as unknown as Node, (node) => {
    const { type, source, callee, arguments: args } = node;
    if (/^(Import|Export)/.test(type) && source) found.push(String(source.value));
    const isRequire =
      type === 'CallExpression' &&
      (callee?.name === 'require' ||
        callee?.callee?.expressions?.at(-1)?.property?.name === 'createRequire');
    const [asked] = isRequire ? (args ?? []) : [];
    if (typeof asked?.value === 'string') found.push(asked.value);
  });
  return found;
}

/** What we ask of a node of a syntax tree. */
interface Node {
  readonly type: string;
  readonly name?: string;
  readonly value?: unknown;
  readonly source?: Node | null;
  readonly callee?: Node;
  readonly property?: Node;
  readonly expressions?: readonly Node[];
  readonly arguments?: readonly Node[];
}

function visit(node: Node, see: (node: Node) => void): void {
  see(node);
  for (const child of Object.values(node).flat()) {
    if (typeof (child as Node | null)?.type === 'string') visit(child as Node, see);
  }
}

/** An application that has a package with what it depends on. */
function appWith(name: string, files: Readonly<Record<string, string>> = {}): string {
  const app = all.app(name, files);
  // Copies, not links: what they ask for is looked for in the application.
  for (const folder of packageFolders) {
    const to = join(app, 'node_modules', all.manifest(folder).name);
    mkdirSync(dirname(to), { recursive: true });
    cpSync(all.unpacked[folder], to, { recursive: true });
  }
  const { dependencies = {} } = all.manifest('kvorum');
  const others = Object.keys(dependencies).filter((each) => !each.startsWith('@kvorum/'));
  lend(app, Object.fromEntries([...others, '@types/node'].map((each) => [each, undefined])));
  return app;
}

const node = async (app: string, ...args: string[]) =>
  must(await exec(process.execPath, args, { cwd: app, timeoutMs }));

const compile = (app: string) => node(app, join(repoRoot, 'node_modules/typescript/bin/tsc'), '-b');

describeWith(['kvorum'], 'the packages', () => {
  beforeAll(async () => {
    all = await assemble();
  }, timeoutMs);
  afterAll(() => all?.remove());

  describe.each(packageFolders)('%s', (folder: Folder) => {
    it('has all that its package.json promises, types first', () => {
      const { bin = {}, exports } = all.manifest(folder);
      const promised = Object.values(bin);
      for (const target of Object.values(exports)) {
        if (typeof target === 'string') promised.push(target);
        else {
          expect(Object.keys(target)).toEqual(['import', 'require']);
          for (const condition of Object.values(target)) {
            expect(Object.keys(condition)).toEqual(['types', 'default']);
            promised.push(...Object.values(condition));
          }
        }
      }
      for (const path of promised)
        expect(existsSync(join(all.unpacked[folder], path)), path).toBe(true);
      expect(promised.length).toBeGreaterThan(4);
    });

    it('says where it is from, and is of the same version as the others', () => {
      const manifest = all.manifest(folder);
      const { version, repository, homepage, bugs, license, engines } = checkout;
      expect(manifest).toMatchObject({ version, repository, homepage, bugs, license, engines });
      expect((manifest.keywords as string[]).length).toBeGreaterThan(5);
      for (const [name, range] of Object.entries(manifest.dependencies ?? {})) {
        if (/^(@kvorum\/|kvorum$)/.test(name)) expect(range, name).toBe(version);
      }
      const own = JSON.parse(
        readFileSync(join(repoRoot, `packages/${folder}/package.json`), 'utf8'),
      );
      expect(own.version, 'the release writes it there, too').toBe(version);
    });

    it('has a README whose links work from anywhere, a licence and a changelog', () => {
      const dir = all.unpacked[folder];
      const readme = readFileSync(join(dir, 'README.md'), 'utf8');
      const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) => target);
      expect(links.length).toBeGreaterThan(0);
      for (const link of links) {
        expect(link).toMatch(/^https:\/\//);
        const [, path] = /\/blob\/main\/([^#]+)/.exec(link) ?? [];
        if (path !== undefined) expect(existsSync(join(repoRoot, path)), link).toBe(true);
      }
      for (const name of ['LICENSE', 'CHANGELOG.md'])
        expect(existsSync(join(dir, name))).toBe(true);
    });

    it('asks for nothing that is not in it, in Node or among its dependencies', () => {
      const { name, dependencies = {}, peerDependencies = {} } = all.manifest(folder);
      const known = new Set([name, ...Object.keys({ ...dependencies, ...peerDependencies })]);
      const wrong = filesBelow(join(all.unpacked[folder], 'dist'))
        .filter((file) => /\.(js|cjs|d\.ts|d\.cts)$/.test(file))
        .flatMap((file) => askedFor(file).map((asked) => ({ file, asked })))
        .filter(({ file, asked }) => {
          if (asked.startsWith('node:') || builtinModules.includes(asked)) return false;
          if (asked.startsWith('.')) return !hasFile(join(dirname(file), asked));
          return !known.has(/^(?:@[^/]+\/)?[^/]+/.exec(asked)?.[0] ?? '') && !optional.has(asked);
        })
        .map(({ file, asked }) => `${file} asks for ${asked}`);
      expect(wrong).toEqual([]);
    });

    it('is right in the eyes of publint', async () => {
      const pkgDir = all.unpacked[folder];
      const { messages, pkg } = await publint({ pkgDir, pack: false, strict: true });
      expect(messages.map((each) => formatMessage(each, pkg))).toEqual([]);
    });
  });

  it('brings the licences of what is bundled', () => {
    for (const folder of ['client', 'kvorum'] as const) {
      const notices = readFileSync(join(all.unpacked[folder], 'THIRD-PARTY-NOTICES.txt'), 'utf8');
      for (const module of all.modules.get(folder) ?? []) {
        const [, name] = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(module) ?? [];
        if (name !== undefined) expect(notices).toMatch(new RegExp(`^${name} \\d`, 'm'));
      }
    }
  });

  describe('@kvorum/client', () => {
    const server = useServer('kvorum');

    it('has nothing of the server, and code for no message that it does not use', () => {
      const modules = all.modules.get('client') ?? [];
      expect(modules.length).toBeGreaterThan(100);
      const foreign = modules.filter(
        (path) => !/^dist\/src\/(client|common|eslint-plugin|proto|transport)\//.test(path),
      );
      const packages = new Set(foreign.map((path) => path.split('/')[1]));
      expect([...packages].sort()).toEqual(['long', 'protobufjs']);
      expect(modules.filter((path) => /transport\/server|proto\/json/.test(path))).toEqual([]);
      const code = readFileSync(join(all.unpacked.client, 'dist/index.js'), 'utf8');
      expect(code).toContain('AuthUserAddRequest.encode = ');
      for (const absent of ['TxnRequest', 'CampaignRequest', 'HealthCheckRequest']) {
        expect(code).not.toContain(`${absent}.encode = `);
      }
      expect(all.manifest('client').sideEffects).toBe(false);
    });

    it('reads and writes messages as the server does: nothing is shaken out of them', () => {
      const ours = codecsIn(readFileSync(join(all.unpacked.client, 'dist/index.js'), 'utf8'));
      const full = codecsIn(readFileSync(join(repoRoot, 'src/proto/generated/etcd.js'), 'utf8'));
      expect(ours.size).toBeGreaterThan(80);
      for (const [name, code] of ours) expect(code, name).toBe(full.get(name));
    });

    it(`takes less than ${clientBytesMax / 1e6} MB and ${clientPackagesMax} packages`, async () => {
      const app = all.app('size');
      const npm = { cwd: app, cache: join(all.dir, 'cache'), timeoutMs };
      must(await npmOffline(['install', all.tarballs.client], npm));
      const lock = JSON.parse(readFileSync(join(app, 'package-lock.json'), 'utf8'));
      const packages = Object.keys(lock.packages).filter((path) => path !== '');
      const bytes = bytesBelow(join(app, 'node_modules'));
      const said = `npm install @kvorum/client: ${packages.length} package(s), ${bytes} bytes`;
      process.stderr.write(`kvorum: ${said}\n`);
      expect(packages.length, said).toBeLessThan(clientPackagesMax);
      expect(bytes, said).toBeLessThan(clientBytesMax);
      // It is all there is, and it works.
      const program = join(app, 'main.mjs');
      cpSync(
        join(all.app('source', { 'main.mjs': clientProgram('@kvorum/client') }), 'main.mjs'),
        program,
      );
      expect(await node(app, program, server().endpoint)).toBe('hello\n');
    });

    it.each(['@kvorum/client', 'kvorum/client'])(
      'talks to a server, imported as %s',
      async (from) => {
        const program = clientProgram(from);
        const app = appWith('client', {
          'main.mjs': program,
          'main.cjs': commonJsOf(program),
        });
        expect(await node(app, 'main.mjs', server().endpoint)).toBe('hello\n');
        expect(await node(app, 'main.cjs', server().endpoint)).toBe('hello\n');
      },
    );

    it('is one and the same by both of its names', async () => {
      const app = appWith('same', {
        'main.mjs': `import * as a from '@kvorum/client';\nimport * as b from 'kvorum/client';\n
          console.log(a.Etcd === b.Etcd, Object.keys(a).length === Object.keys(b).length);`,
      });
      expect(await node(app, 'main.mjs')).toBe('true true\n');
    });

    it('says what to install for the other transport', async () => {
      const app = appWith('no-grpc-js', {
        'main.mjs': `import { Etcd } from '@kvorum/client';
          const client = new Etcd({ endpoints: [process.argv[2]], transport: 'grpc-js' });
          console.log(await client.kv.get('a').then(String, (error) => error.stack + error.cause));
          await client.close();`,
      });
      expect(await node(app, 'main.mjs', server().endpoint)).toContain('@grpc/grpc-js');
    });
  });

  describe('kvorum and @kvorum/testing', () => {
    it('start servers in a program: ES modules and CommonJS', async () => {
      for (const from of ['kvorum/testing', '@kvorum/testing']) {
        const program = serverProgram(from);
        const app = appWith('server', {
          'main.mjs': program,
          'main.cjs': commonJsOf(program),
        });
        expect(await node(app, 'main.mjs')).toBe('3 hello function\n');
        expect(await node(app, 'main.cjs')).toBe('3 hello function\n');
      }
    });

    it('find what is loaded only when it is asked for', async () => {
      const program = lateProgram('kvorum');
      const app = appWith('late', { 'main.mjs': program, 'main.cjs': commonJsOf(program) });
      expect(await node(app, 'main.mjs')).toBe("[ 'one' ] true\n");
      rmSync(join(app, 'data'), { recursive: true });
      expect(await node(app, 'main.cjs')).toBe("[ 'one' ] true\n");
    });

    it('have the command', async () => {
      const app = appWith('command');
      const bin = join(app, 'node_modules/kvorum/bin/kvorum');
      expect(must(await exec(bin, ['--version'], { cwd: app }))).toContain(
        `kvorum Version: ${checkout.version}`,
      );
    });

    it('work in the test runner of Node', async () => {
      const app = appWith('node-test', { 'one.test.mjs': nodeTest });
      expect(await node(app, '--test', 'one.test.mjs')).toMatch(/pass 1\b[\s\S]*fail 0\b/);
    });

    it('work in vitest', async () => {
      const app = appWith('vitest', { 'one.test.mjs': vitestTest });
      lend(app, { vitest: undefined });
      const vitest = join(repoRoot, 'node_modules/vitest/vitest.mjs');
      const args = [vitest, 'run', '--root', app];
      const run = await exec(process.execPath, args, { cwd: app, env: quiet, timeoutMs });
      expect(must(run)).toMatch(/Tests +1 passed/);
    });
  });

  it.each(['nodenext', 'bundler'] as const)(
    'are typed: strict, %s, without skipLibCheck',
    async (resolution) => {
      const app = appWith(`types-${resolution}`, typedProject(resolution));
      expect(await compile(app)).toBe('');
      // And somebody reads them.
      const wrong = appWith(`wrong-${resolution}`, {
        ...typedProject(resolution),
        'src/main.mts': typed.replace('startNode()', 'startNode({ flags: 1 })'),
      });
      await expect(compile(wrong)).rejects.toThrow(/TS2322|TS2769/);
    },
  );
});

/** Code without what a formatter may change; a bundler drops the one variable that is of no use. */
function bare(code: string): string {
  const plain = code.replace(/[\s{}();]|\/\*.*?\*\//g, '').replaceAll("'", '"');
  return plain.replace('message,value', 'message');
}

/** The functions that write and read each message. */
function codecsIn(code: string): Map<string, string> {
  const functions = /\b([A-Z]\w+)\.(encode|decode) = function[\s\S]*?return (?:writer|message);/g;
  return new Map(
    [...code.matchAll(functions)].map(([all = '', name, verb]) => {
      return [`${name}.${verb}`, bare(all)];
    }),
  );
}

/** What libraries in the bundle would like to have, and do without. */
const optional = new Set(['bufferutil', 'utf-8-validate', 'pino-pretty', 'msgpackr-extract']);

/** Whether a module, or its declarations, are where a file says. */
function hasFile(path: string): boolean {
  return existsSync(path) || existsSync(path.replace(/\.(c?)js$/, '.d.$1ts'));
}
