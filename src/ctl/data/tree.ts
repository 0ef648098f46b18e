/** `tree`: the keys as a tree, with how many there are below each prefix. */

import { type CommandContext, command, flag } from '../command/index.js';
import { type Paint, paintOf } from '../print/index.js';
import { progress } from '../progress/index.js';
import { treeNodesMax } from './limits.js';
import { PrefixTree, type TreeNode } from './prefix-tree.js';
import { keyOf, spanOfPrefix } from './span.js';
import { Store } from './store.js';
import { counted, keyField, keyText, prefixOf, revisionOf, wantsJson } from './text.js';

/** Flags that `du` has, too. */
export const treeFlags = {
  separator: flag.string('/', 'what parts keys into levels'),
  rev: flag.int64(0n, 'of this revision; 0: of the newest'),
} as const;

export const treeCommand = command({
  name: 'tree',
  usage: '[options] [prefix]',
  short: 'Shows keys as a tree, with how many there are below each prefix',
  group: 'Key-value commands',
  beyondEtcdctl: true,
  flags: {
    ...treeFlags,
    depth: flag.int(3, 'levels that are shown'),
    limit: flag.int(50, 'names that are shown below each prefix; 0: all'),
  },
  async run(context, args, flags) {
    const json = wantsJson(context);
    const prefix = prefixOf(args, 'tree');
    const { depth, limit } = flags;
    const separator = keyOf(flags.separator);
    const tree = new PrefixTree({
      ...{ prefix, separator, depth, nodesMax: treeNodesMax, withKeys: true },
    });
    const revision = await fill(context, tree, prefix, { rev: flags.rev, keysOnly: true });
    const most = limit > 0 ? limit : Number.POSITIVE_INFINITY;
    if (json) {
      const shown = { revision, ...jsonOf(tree.root, 'prefix', most) };
      await context.io.stdout(`${JSON.stringify(shown)}\n`);
    } else {
      const paint = paintOf(context);
      for (const line of lines(tree, most, paint)) await context.io.stdout(`${line}\n`);
      await context.io.stdout(`\n${counted(tree.root.keys, 'key')} at revision ${revision}\n`);
    }
    tellOfForgotten(context, tree, depth);
    return undefined;
  },
});

/** Adds all keys below `prefix`; resolves with their revision. */
export async function fill(
  context: CommandContext,
  tree: PrefixTree,
  prefix: string,
  { rev, keysOnly }: { readonly rev: bigint; readonly keysOnly: boolean },
): Promise<number> {
  const store = await Store.of(context);
  const shown = progress(context.io, { title: 'reading', unit: 'keys' });
  let revision = revisionOf('rev', rev);
  let seen = 0;
  try {
    for await (const page of store.pages(spanOfPrefix(prefix), { revision, keysOnly })) {
      revision = page.revision;
      for (const { key, value, version } of page.kvs) {
        tree.add(key, key.length + value.length, version);
      }
      seen += page.kvs.length;
      shown.set(seen, seen - page.kvs.length + page.left);
    }
  } finally {
    shown.end();
  }
  return revision;
}

/** On stderr: what is printed stays what scripts expect. */
export function tellOfForgotten({ io }: CommandContext, tree: PrefixTree, wanted: number): void {
  if (tree.depth < Math.max(1, wanted)) {
    const levels = counted(tree.depth, 'level');
    io.stderr(`more than ${treeNodesMax} names: only ${levels} of them; ask for a longer prefix\n`);
  }
  if (tree.rest.keys === 0) return;
  io.stderr(`${counted(tree.rest.keys, 'key')} more are counted without a name\n`);
}

function jsonOf(node: TreeNode, name: string, most: number): Readonly<Record<string, unknown>> {
  const children = [...node.children.values()];
  const shown = children.slice(0, most);
  return {
    ...keyField(name, node.name),
    ...(node.isKey ? { isKey: true } : { keys: node.keys }),
    ...(shown.length === 0 ? {} : { children: shown.map((one) => jsonOf(one, 'name', most)) }),
    ...(children.length > shown.length ? { left: children.length - shown.length } : {}),
  };
}

function* lines(tree: PrefixTree, most: number, paint: Paint): Generator<string> {
  yield paint.bold(tree.root.name === '' ? '(all keys)' : keyText(tree.root.name));
  yield* below(tree.root, '', most, paint);
}

function* below(node: TreeNode, indent: string, most: number, paint: Paint): Generator<string> {
  const children = [...node.children.values()];
  const shown = children.slice(0, most);
  const left = children.length - shown.length;
  for (const [i, child] of shown.entries()) {
    const isLast = i === shown.length - 1 && left === 0;
    const name = keyText(child.name);
    const label = child.isKey ? name : `${paint.blue(name)} ${paint.dim(`(${child.keys})`)}`;
    yield `${indent}${isLast ? '└── ' : '├── '}${label}`;
    yield* below(child, `${indent}${isLast ? '    ' : '│   '}`, most, paint);
  }
  if (left > 0) yield `${indent}└── ${paint.dim(`… ${counted(left, 'name')} more`)}`;
}
