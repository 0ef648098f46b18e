/**
 * Builds the tree of a KeyIndex from keys that come in order: no search and no split, several times
 * faster than inserting them. Leaves are filled to three quarters, as room for keys to come.
 */

import { assert, type KeyString } from '../../common/index.js';
import type { KeyItem } from './item.js';
import { Node, order } from './node.js';

const fill = (order * 3) >>> 2;

/** Give it to {@link KeyIndex.adopt} after the last key. */
export class KeyIndexBuilder {
  size = 0;
  readonly #leaves: Node[] = [];
  #items: KeyItem[] = [];
  #last: KeyString | undefined;

  /** Keys must ascend. */
  add(key: KeyString, item: KeyItem): void {
    assert(this.#last === undefined || this.#last < key, 'keys to build from ascend');
    this.#last = key;
    if (this.#items.length === fill) this.#endLeaf();
    item.key = key;
    this.#items.push(item);
    this.size += 1;
  }

  /** The root. */
  finish(): Node {
    this.#endLeaf();
    let level: Node[] = this.#leaves;
    // The smallest key below each node of the level.
    let lows = level.map((node) => (node.count > 0 ? node.keyAt(0) : ''));
    while (level.length > 1) {
      const above: Node[] = [];
      const lowsAbove: KeyString[] = [];
      for (let i = 0; i < level.length; i += fill + 1) {
        const kids = level.slice(i, i + fill + 1);
        above.push(Node.inner(lows.slice(i + 1, i + kids.length), kids));
        lowsAbove.push(lows[i] as KeyString);
      }
      level = above;
      lows = lowsAbove;
    }
    return level[0] as Node;
  }

  #endLeaf(): void {
    this.#leaves.push(Node.leaf(this.#items));
    this.#items = [];
  }
}
