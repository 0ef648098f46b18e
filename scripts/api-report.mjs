/**
 * The public surface as text: for each entry of package.json's "exports" one file in docs/api with
 * all declarations that it exports, and those that these lead to, taken from what the compiler
 * wrote below dist/src. A change of these files in a commit is a change of what others build on; a
 * test compares them.
 *
 * Left out is what binds nobody: comments, members that are private or @internal, and the insides
 * of classes that are not exported, which only we make.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where the reports are, from the root. */
export const reportDir = 'docs/api';

/** Writes the reports of what has been built; returns what was written, by file name. */
export async function writeApiReports(root) {
  const reports = await apiReports(root);
  const dir = join(root, reportDir);
  mkdirSync(dir, { recursive: true });
  for (const name of readdirSync(dir)) {
    if (name.endsWith('.api.md') && !reports.has(name)) rmSync(join(dir, name));
  }
  for (const [name, text] of reports) writeFileSync(join(dir, name), text);
  return reports;
}

/** File names below docs/api -> their texts. */
export async function apiReports(root) {
  // Imported late: run.mjs starts before anything is installed.
  const { parseAst } = await import('rolldown/parseAst');
  const { name, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const program = new Program((text) => parseAst(text, { lang: 'dts' }).body);
  const entries = Object.entries(exports).map(([entry, { types }]) => {
    const exported = program.exportsOf(join(root, types));
    return { specifier: entry.replace(/^\./, name), exported };
  });
  const reports = new Map();
  for (const entry of entries) {
    const elsewhere = new Map();
    for (const { specifier, exported } of entries.filter((other) => other !== entry)) {
      for (const target of exported.values()) elsewhere.set(keyOf(target), specifier);
    }
    const file = `${entry.specifier.replaceAll('/', '.')}.api.md`;
    reports.set(file, reportOf(entry, elsewhere, program));
  }
  return reports;
}

/** `elsewhere`: what other entries export, and which. */
function reportOf({ specifier, exported }, elsewhere, program) {
  const { declared, classes, taken } = program.reachedFrom([...exported.values()], elsewhere);
  const lines = [
    `# What \`${specifier}\` exports`,
    '',
    '`npm run api` wrote this from the declarations of the build. Do not edit it; a change of it is a',
    'change of what others build on, and belongs into CHANGELOG.md.',
    '',
    '## Exported',
    '',
    ...block(texts([...exported].map(([as, target]) => program.textsOf(target, as)))),
  ];
  if (declared.length > 0) {
    lines.push('', '## Reached by what is exported', '');
    lines.push(...block(texts(declared.map((target) => program.textsOf(target)))));
  }
  if (classes.length > 0) {
    lines.push('', '## Classes reached whose insides are ours', '');
    lines.push(...classes.map((name) => `- \`${name}\``));
  }
  if (taken.length > 0) lines.push('', '## Taken from elsewhere', '', ...taken);
  return `${lines.join('\n')}\n`;
}

/** Sorted by name, so that a file may move without a trace. */
function texts(lists) {
  return lists.flat().sort((a, b) => compare(a.name, b.name) || compare(a.text, b.text));
}

function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}

function block(declarations) {
  return ['```ts', declarations.map(({ text }) => text).join('\n\n'), '```'];
}

/** The declaration files that entries lead to, each read once. */
class Program {
  #parse;
  #modules = new Map();

  constructor(parse) {
    this.#parse = parse;
  }

  /** Names that a module exports -> the targets they stand for. */
  exportsOf(path, seen = new Set()) {
    const found = new Map();
    if (seen.has(path)) return found;
    seen.add(path);
    const { exported, stars } = this.#module(path);
    for (const from of stars) {
      for (const [name, target] of this.exportsOf(from, seen)) found.set(name, target);
    }
    for (const [name, reference] of exported) found.set(name, this.#resolve(reference));
    return found;
  }

  /** What targets lead to, without themselves. */
  reachedFrom(targets, elsewhere) {
    const taken = new Set();
    const classes = new Set();
    const declared = [];
    const seen = new Set(targets.map(keyOf));
    const queue = [...targets];
    // It grows.
    for (const target of queue) {
      for (const next of this.#usedBy(target)) {
        const key = keyOf(next);
        if (seen.has(key)) continue;
        seen.add(key);
        const from = next.package ?? elsewhere.get(key);
        if (from !== undefined) taken.add(`- \`${next.name}\` from \`${from}\``);
        else if (this.#isClass(next)) classes.add(next.name);
        else {
          declared.push(next);
          queue.push(next);
        }
      }
    }
    return { declared, classes: [...classes].sort(), taken: [...taken].sort() };
  }

  /** What the declarations of a target name. */
  #usedBy({ path, name }) {
    if (path === undefined) return [];
    const module = this.#module(path);
    return (module.locals.get(name) ?? [])
      .flatMap((node) => [...referencesIn(node, module.hidden)])
      .map((used) => module.referenceOf(used))
      .filter((reference) => reference !== undefined)
      .map((reference) => this.#resolve(reference));
  }

  #isClass({ path, name }) {
    const nodes = this.#module(path).locals.get(name) ?? [];
    return nodes.some(({ type }) => type === 'ClassDeclaration');
  }

  /** The declarations of a target: functions have several. */
  textsOf(target, as = target.name) {
    if (target.path === undefined) {
      return [{ name: as, text: `export { ${target.name} as ${as} } from '${target.package}';` }];
    }
    const { hidden, locals, text } = this.#module(target.path);
    const nodes = locals.get(target.name);
    if (nodes === undefined) throw new Error(`${target.path} declares no ${target.name}`);
    const renamed = as === target.name ? '' : `// exported as ${as}\n`;
    return nodes.map((node) => ({ name: as, text: renamed + declarationText(text, node, hidden) }));
  }

  #module(path) {
    if (!this.#modules.has(path)) {
      const text = readFileSync(path, 'utf8');
      this.#modules.set(path, new Module(path, text, this.#parse(text)));
    }
    return this.#modules.get(path);
  }

  /** Follows a reference to where it is declared, or to the package it is from. */
  #resolve(reference) {
    if (reference.package !== undefined || reference.isLocal) return reference;
    const { path, name } = reference;
    if (name === '*') return reference;
    const target = this.exportsOf(path).get(name);
    if (target === undefined) throw new Error(`${path} exports no ${name}`);
    return target;
  }
}

/** One declaration file. A reference is `{ path, name, isLocal }` or `{ package, name }`. */
class Module {
  path;
  text;
  /** Nodes by the name they declare. */
  locals = new Map();
  imports = new Map();
  exported = new Map();
  /** Files of `export * from`. */
  stars = [];
  /** Where members begin that are marked @internal. */
  hidden = new Set();

  constructor(path, text, body) {
    this.path = path;
    this.text = text;
    for (const node of body) this.#take(node);
    const marked = /\/\*\*(?:(?!\*\/)[\s\S])*?@internal\b(?:(?!\*\/)[\s\S])*\*\/\s*/g;
    for (const { 0: comment, index } of text.matchAll(marked)) {
      this.hidden.add(index + comment.length);
    }
    // `export { x }` may come before what x is.
    for (const [name, local] of this.exported) {
      if (typeof local === 'string') this.exported.set(name, this.referenceOf(local));
    }
  }

  /** What a name means here; undefined: something global, or a type parameter. */
  referenceOf(name) {
    if (this.locals.has(name)) return { path: this.path, name, isLocal: true };
    return this.imports.get(name);
  }

  #take(node) {
    switch (node.type) {
      case 'ImportDeclaration':
        for (const each of node.specifiers) {
          const name = each.type === 'ImportSpecifier' ? nameOf(each.imported) : '*';
          this.imports.set(each.local.name, this.#from(node.source.value, name));
        }
        return;
      case 'ExportAllDeclaration':
        if (node.exported !== null) throw new Error(`${this.path}: export * as`);
        this.stars.push(this.#from(node.source.value, '*').path);
        return;
      case 'ExportNamedDeclaration':
        if (node.declaration !== null) {
          for (const name of this.#declare(node.declaration)) this.exported.set(name, name);
        }
        for (const { local, exported } of node.specifiers) {
          const from = node.source && this.#from(node.source.value, nameOf(local));
          this.exported.set(nameOf(exported), from ?? nameOf(local));
        }
        return;
      default:
        this.#declare(node);
    }
  }

  /** The names that a declaration gives. */
  #declare(node) {
    const names = node.declarations?.map(({ id }) => id.name) ?? [node.id?.name];
    for (const name of names) {
      if (name === undefined) throw new Error(`${this.path}: what is ${node.type}?`);
      this.locals.set(name, [...(this.locals.get(name) ?? []), node]);
    }
    return names;
  }

  #from(specifier, name) {
    if (!specifier.startsWith('.')) return { package: specifier, name };
    const path = join(dirname(this.path), specifier.replace(/\.js$/, '.d.ts'));
    if (!existsSync(path)) throw new Error(`${this.path}: there is no ${path}; build first`);
    return { path, name };
  }
}

function keyOf(target) {
  return `${target.path ?? target.package} ${target.name}`;
}

function nameOf(node) {
  return node.name ?? node.value;
}

/** Names that a declaration uses as types, values of types, or what it extends. */
function referencesIn(node, hidden, found = new Set()) {
  if (isPrivate(node) || hidden.has(node.start)) return found;
  if (node.type === 'TSTypeReference') found.add(leftmost(node.typeName));
  else if (node.type === 'TSTypeQuery') found.add(leftmost(node.exprName));
  else if (node.type === 'TSInterfaceHeritage' || node.type === 'TSClassImplements') {
    found.add(leftmost(node.expression));
  } else if (node.type === 'ClassDeclaration' && node.superClass) {
    found.add(leftmost(node.superClass));
  } else if (node.type === 'TSImportType') {
    throw new Error('import() in a declaration: write the type down, or follow it here');
  }
  for (const child of childrenOf(node)) referencesIn(child, hidden, found);
  return found;
}

function leftmost(node) {
  if (node.type === 'TSQualifiedName') return leftmost(node.left);
  if (node.type === 'MemberExpression') return leftmost(node.object);
  return node.name;
}

function childrenOf(node) {
  return Object.values(node)
    .flat()
    .filter((value) => typeof value?.type === 'string' && value.start !== undefined);
}

/** A private constructor says that others can't make one. */
function isPrivate(node) {
  if (node.kind === 'constructor') return false;
  return node.accessibility === 'private' || node.key?.type === 'PrivateIdentifier';
}

/** The declaration without comments and members that bind nobody. */
function declarationText(text, node, hidden) {
  const members = Array.isArray(node.body?.body) ? node.body.body : [];
  let at = node.start;
  let kept = '';
  for (const member of members) {
    if (!isPrivate(member) && !hidden.has(member.start)) continue;
    kept += text.slice(at, member.start);
    at = member.end;
  }
  kept += text.slice(at, node.end);
  return withoutComments(kept)
    .replace(/^declare /, '')
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .join('\n');
}

/** Blank where comments were; strings that look like comments stay. */
function withoutComments(text) {
  const parts =
    /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/ ?|\/\/.*/g;
  return text.replace(parts, (part) => (part.startsWith('/') ? '' : part));
}
