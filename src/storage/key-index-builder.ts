/**
 * Builds the tree of a KeyIndex from keys that come in order: no search and no split, several times
 * faster than inserting them. Leaves are filled to three quarters, as room for keys to come.
 */

import { assert, type KeyString } from '../common/index.js';
import { type Leaf, type Node, order } from './key-index.js';
import type { KeyItem } from './key-index-item.js';

const fill = (order * 3) / 4;

/** Give it to {@link KeyIndex.adopt} after the last key. */
export class KeyIndexBuilder {
  size = 0;
  private readonly leaves: Leaf[] = [];
  private leaf: Leaf = { leaf: true, keys: [], items: [], live: 0 };
  private last: KeyString | undefined;

  /** Keys must ascend. */
  add(key: KeyString, item: KeyItem): void {
    assert(this.last === undefined || this.last < key, 'keys to build from ascend');
    this.last = key;
    if (this.leaf.keys.length === fill) {
      this.leaves.push(this.leaf);
      this.leaf = { leaf: true, keys: [], items: [], live: 0 };
    }
    this.leaf.keys.push(key);
    this.leaf.items.push(item);
    if (!item.dead) this.leaf.live += 1;
    this.size += 1;
  }

  /** The root. */
  finish(): Node {
    let level: Node[] = [...this.leaves, this.leaf];
    // The smallest key below each node of the level.
    let lows = level.map((node) => node.keys[0] ?? '');
    while (level.length > 1) {
      const above: Node[] = [];
      const lowsAbove: KeyString[] = [];
      for (let i = 0; i < level.length; i += fill + 1) {
        const kids = level.slice(i, i + fill + 1);
        const keys = lows.slice(i + 1, i + kids.length);
        const live = kids.reduce((sum, kid) => sum + kid.live, 0);
        above.push({ leaf: false, keys, kids, live });
        lowsAbove.push(lows[i] as KeyString);
      }
      level = above;
      lows = lowsAbove;
    }
    return level[0] as Node;
  }
}
