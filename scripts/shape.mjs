/**
 * The shape of the sources of a checkout, in numbers: the table of docs/adr/0008-features.md.
 *
 *     npm run shape                 of this checkout
 *     npm run shape -- --of DIR     of another one
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { of: { type: 'string', default: '.' } } });
const root = resolve(values.of);
if (!existsSync(join(root, 'src'))) {
  process.stderr.write(`no sources in ${root}\n`);
  process.exit(2);
}
// Imported late, so that a wrong argument is told without it.
const { parseAst } = await import('rolldown/parseAst');

const files = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => posix.relative(root, join(entry.parentPath, entry.name)))
  .filter((path) => !path.includes('/generated/'))
  .sort();
const texts = new Map(files.map((path) => [path, readFileSync(join(root, path), 'utf8')]));

/** File -> files that it imports, types included. */
const imports = new Map(
  files.map((path) => {
    const specifiers = texts.get(path).matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g);
    const targets = [...specifiers].map(([, specifier]) =>
      posix.join(dirname(path), specifier).replace(/\.js$/, '.ts'),
    );
    return [path, new Set(targets.filter((target) => texts.has(target)))];
  }),
);

/** Groups of files each of which can be reached from each (Tarjan). */
function circles() {
  const number = new Map();
  const low = new Map();
  const stack = [];
  const found = [];
  const visit = (path) => {
    number.set(path, number.size);
    low.set(path, number.get(path));
    stack.push(path);
    for (const next of imports.get(path)) {
      if (!number.has(next)) visit(next);
      if (stack.includes(next)) low.set(path, Math.min(low.get(path), low.get(next)));
    }
    if (low.get(path) !== number.get(path)) return;
    const group = stack.splice(stack.indexOf(path));
    if (group.length > 1) found.push(group);
  };
  for (const path of files) if (!number.has(path)) visit(path);
  return found;
}

const importers = new Map(files.map((path) => [path, []]));
for (const [path, targets] of imports) {
  for (const target of targets) importers.get(target).push(path);
}

/** The one file that imports `path`; undefined: there are more, or none. */
function onlyImporter(path) {
  const [only, ...others] = importers.get(path);
  return others.length > 0 || path.endsWith('/index.ts') ? undefined : only;
}

/** The functions, longest first: lines, name, place. */
function functions() {
  const found = [];
  for (const path of files) {
    const text = texts.get(path);
    const lineAt = lineCounter(text);
    const walk = (node, name) => {
      if (node === null || typeof node !== 'object') return;
      if (Array.isArray(node)) {
        for (const one of node) walk(one, name);
        return;
      }
      const own = node.key?.name ?? node.id?.name ?? name;
      if (/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) {
        const lines = lineAt(node.end) - lineAt(node.start) + 1;
        found.push({ lines, name: own ?? '', path });
      }
      for (const [key, value] of Object.entries(node)) if (key !== 'type') walk(value, own);
    };
    walk(parseAst(text, { lang: 'ts' }).body, undefined);
  }
  return found.sort((a, b) => b.lines - a.lines);
}

function lineCounter(text) {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}

const groups = circles();
const lonely = files.filter((path) => onlyImporter(path) !== undefined);
const strayed = lonely.filter((path) => dirname(onlyImporter(path)) !== dirname(path));
const flatParts = lonely.filter((path) => dirname(path) === 'src/server');
const longest = functions().slice(0, 3);
const flat = files.filter((path) => dirname(path) === 'src/server').length;
const lines = [
  `files in src                              ${files.length}`,
  `files directly in src/server              ${flat}`,
  `circles of imports, types counted         ${groups.length} (${groups.flat().length} files)`,
  `files with one importer                   ${lonely.length}`,
  `  of these, directly in src/server        ${flatParts.length}`,
  `  of these, importer in another folder    ${strayed.length}`,
  `longest functions, lines                  ${longest.map((f) => `${f.lines} ${f.name}`).join(', ')}`,
];
process.stdout.write(`${lines.join('\n')}\n`);
