/**
 * Keys added up by their prefixes. Keys are cut behind each separator; below `depth` they only
 * count. What is remembered is bounded: with too many nodes the deepest level is forgotten, and on
 * the first level what is new is counted without a name.
 */

import type { KeyString } from '../../common/index.js';

/** What is added up. */
export interface Weight {
  keys: number;
  bytes: number;
  /** Changes of these keys since each was created. */
  revisions: number;
}

/** A prefix that ends with the separator, or a key. */
export interface TreeNode extends Weight {
  /** Without what is above it. */
  readonly name: KeyString;
  readonly children: Map<KeyString, TreeNode>;
  /** It is a key, and not what some have in common. */
  readonly isKey: boolean;
}

export interface TreeOptions {
  readonly prefix: KeyString;
  readonly separator: KeyString;
  readonly depth: number;
  readonly nodesMax: number;
  /** Keys themselves are nodes, too. */
  readonly withKeys: boolean;
}

export class PrefixTree {
  readonly root: TreeNode;
  /** Keys of the first level for which there was no room. */
  readonly rest: Weight = { keys: 0, bytes: 0, revisions: 0 };
  readonly #options: TreeOptions;
  #depth: number;
  #nodes = 0;

  constructor(options: TreeOptions) {
    this.#options = options;
    this.#depth = Math.max(1, options.depth);
    this.root = nodeOf(options.prefix, false);
  }

  /** Levels that are still there. */
  get depth(): number {
    return this.#depth;
  }

  add(key: KeyString, bytes: number, revisions: number): void {
    const { prefix, separator, withKeys, nodesMax } = this.#options;
    let node = this.root;
    weigh(node, bytes, revisions);
    let at = prefix.length;
    for (let level = 1; level <= this.#depth; level += 1) {
      // A separator in front belongs to the name: `/a/b` is `/a/` and `b`.
      const found = separator === '' ? -1 : key.indexOf(separator, at + 1);
      const isKey = found < 0;
      if (isKey && !withKeys) return;
      const end = isKey ? key.length : found + separator.length;
      const name = key.slice(at, end);
      let child = node.children.get(name);
      if (child === undefined) {
        this.#makeRoom();
        // It counts on the levels that are left.
        if (level > this.#depth) return;
        if (this.#nodes >= nodesMax) {
          weigh(this.rest, bytes, revisions);
          return;
        }
        child = nodeOf(name, isKey);
        node.children.set(name, child);
        this.#nodes += 1;
      }
      weigh(child, bytes, revisions);
      if (isKey) return;
      node = child;
      at = end;
    }
  }

  /** Forgets the deepest level, and more of them, while there is no room and more than one. */
  #makeRoom(): void {
    while (this.#nodes >= this.#options.nodesMax && this.#depth > 1) {
      this.#depth -= 1;
      this.#nodes = cut(this.root, this.#depth);
    }
  }
}

function nodeOf(name: KeyString, isKey: boolean): TreeNode {
  return { name, isKey, children: new Map(), keys: 0, bytes: 0, revisions: 0 };
}

function weigh(into: Weight, bytes: number, revisions: number): void {
  into.keys += 1;
  into.bytes += bytes;
  into.revisions += revisions;
}

/** Forgets what is more than `depth` levels below; returns how many nodes are left below. */
function cut(node: TreeNode, depth: number): number {
  if (depth === 0) {
    node.children.clear();
    return 0;
  }
  let nodes = node.children.size;
  for (const child of node.children.values()) nodes += cut(child, depth - 1);
  return nodes;
}
