/** `du`: what the prefixes hold: bytes, keys, and changes of these keys. */

import { bytesText, CommandError, command, flag } from '../command/index.js';
import { paintOf } from '../print/index.js';
import { treeNodesMax } from './limits.js';
import { PrefixTree, type TreeNode, type Weight } from './prefix-tree.js';
import { keyOf } from './span.js';
import { keyField, keyText, prefixOf, wantsJson } from './text.js';
import { fill, tellOfForgotten, treeFlags } from './tree.js';

const orders = ['bytes', 'keys', 'revisions', 'name'] as const;

/** A prefix with what is in front of it. */
interface Row extends Weight {
  readonly prefix: string;
}

export const duCommand = command({
  name: 'du',
  usage: '[options] [prefix]',
  short: 'Shows how much there is below each prefix: bytes, keys, revisions',
  long:
    'Shows how much there is below each prefix. Bytes are those of keys and of their newest values;\n' +
    'revisions are how often these keys were put since they were created. What older revisions and\n' +
    'deleted keys take until the next compaction is not among the bytes.',
  group: 'Key-value commands',
  beyondEtcdctl: true,
  flags: {
    ...treeFlags,
    depth: flag.int(1, 'levels that are shown'),
    sort: flag.string('bytes', 'bytes, keys, revisions (the largest first) or name'),
  },
  async run(context, args, flags) {
    const json = wantsJson(context);
    const prefix = prefixOf(args, 'du');
    const sort = orders.find((one) => one === flags.sort);
    if (sort === undefined) throw new CommandError(`--sort is one of ${orders.join(', ')}`);
    const separator = keyOf(flags.separator);
    const tree = new PrefixTree({
      ...{ prefix, separator, depth: flags.depth, nodesMax: treeNodesMax, withKeys: false },
    });
    const revision = await fill(context, tree, prefix, { rev: flags.rev, keysOnly: false });
    const rows = [...rowsBelow(tree.root, tree.root.name)];
    // In the order of keys already.
    if (sort !== 'name') rows.sort((a, b) => b[sort] - a[sort]);
    const { io } = context;
    if (json) {
      const shown = {
        ...{ revision, ...keyField('prefix', prefix), ...weightOf(tree.root) },
        prefixes: rows.map((row) => ({ ...keyField('prefix', row.prefix), ...weightOf(row) })),
      };
      await io.stdout(`${JSON.stringify(shown)}\n`);
    } else {
      const paint = paintOf(context);
      const total = { ...weightOf(tree.root), prefix };
      const cells = [...rows, total].map((row) => cellsOf(row, context.pretty));
      const table = [['BYTES', 'KEYS', 'REVISIONS', 'PREFIX'], ...cells];
      const widths = [0, 1, 2].map((i) => Math.max(...table.map((row) => row[i]?.length ?? 0)));
      for (const [i, row] of table.entries()) {
        const line = [...widths.map((width, at) => row[at]?.padStart(width)), row[3]].join('  ');
        const isFrame = i === 0 || i === table.length - 1;
        await io.stdout(`${isFrame ? paint.bold(line) : line}\n`);
      }
    }
    tellOfForgotten(context, tree, flags.depth);
    return undefined;
  },
});

function* rowsBelow(node: TreeNode, above: string): Generator<Row> {
  for (const child of node.children.values()) {
    const prefix = `${above}${child.name}`;
    yield { prefix, ...weightOf(child) };
    yield* rowsBelow(child, prefix);
  }
}

function weightOf({ bytes, keys, revisions }: Weight): Weight {
  return { bytes, keys, revisions };
}

function cellsOf({ bytes, keys, revisions, prefix }: Row, pretty: boolean): string[] {
  const size = pretty ? bytesText(bytes) : String(bytes);
  return [size, String(keys), String(revisions), prefix === '' ? '(all keys)' : keyText(prefix)];
}
