/**
 * Which half-open key ranges contain a given key, in O(log n + found): a treap ordered by
 * (start, end) in which each node knows the largest end below it (Cormen et al., "Introduction to
 * Algorithms", interval trees). Ranges are unique; what belongs to a range hangs on its node.
 *
 * An end of '' means "and everything above". The expected depth is logarithmic whatever the order
 * of insertion, because priorities are random.
 */

import { assert, type KeyString, present } from '../../common/index.js';

/** One range. `start`, `end` and the place in the tree belong to the tree, `value` to its user. */
export interface IntervalNode<T> {
  readonly start: KeyString;
  /** Exclusive; '' is above every key. */
  readonly end: KeyString;
  value: T;
}

interface Node<T> extends IntervalNode<T> {
  readonly priority: number;
  maxEnd: KeyString;
  left: Node<T> | undefined;
  right: Node<T> | undefined;
}

/** A set of ranges of keys. */
export class IntervalTree<T> {
  readonly #nextPriority: () => number;
  #root: Node<T> | undefined;
  #size = 0;

  /** `nextPriority` draws uniform numbers. */
  constructor(nextPriority: () => number) {
    this.#nextPriority = nextPriority;
  }

  /** Number of distinct ranges. */
  get size(): number {
    return this.#size;
  }

  /** The node of exactly this range. */
  find(start: KeyString, end: KeyString): IntervalNode<T> | undefined {
    let node = this.#root;
    while (node !== undefined) {
      const order = compareRanges(start, end, node);
      if (order === 0) return node;
      node = order < 0 ? node.left : node.right;
    }
    return undefined;
  }

  /** Adds a range that is not there yet. */
  insert(start: KeyString, end: KeyString, value: T): IntervalNode<T> {
    assert(end === '' || start < end, 'a range must not be empty');
    const priority = this.#nextPriority();
    const node: Node<T> = {
      start,
      end,
      value,
      priority,
      maxEnd: end,
      left: undefined,
      right: undefined,
    };
    this.#root = insertInto(this.#root, node);
    this.#size += 1;
    return node;
  }

  /** Removes a range that is there. */
  remove(start: KeyString, end: KeyString): void {
    this.#root = removeFrom(this.#root, start, end);
    this.#size -= 1;
  }

  /** Appends the values of all ranges that contain `key` to `found`. */
  stab(key: KeyString, found: T[]): void {
    stabNode(this.#root, key, found);
  }

  /** Throws InvariantError unless order, heap and largest ends hold. For tests. */
  check(): void {
    assert(checkNode(this.#root) === this.#size, 'the size of an interval tree is wrong');
  }
}

/** Ends compared with '' as the largest. */
function compareEnds(a: KeyString, b: KeyString): number {
  if (a === b) return 0;
  if (a === '') return 1;
  if (b === '') return -1;
  return a < b ? -1 : 1;
}

function compareRanges<T>(start: KeyString, end: KeyString, node: Node<T>): number {
  if (start !== node.start) return start < node.start ? -1 : 1;
  return compareEnds(end, node.end);
}

function updateMaxEnd<T>(node: Node<T>): void {
  let maxEnd = node.end;
  const { left, right } = node;
  if (left !== undefined && compareEnds(left.maxEnd, maxEnd) > 0) maxEnd = left.maxEnd;
  if (right !== undefined && compareEnds(right.maxEnd, maxEnd) > 0) maxEnd = right.maxEnd;
  node.maxEnd = maxEnd;
}

function rotateRight<T>(node: Node<T>, left: Node<T>): Node<T> {
  node.left = left.right;
  left.right = node;
  updateMaxEnd(node);
  updateMaxEnd(left);
  return left;
}

function rotateLeft<T>(node: Node<T>, right: Node<T>): Node<T> {
  node.right = right.left;
  right.left = node;
  updateMaxEnd(node);
  updateMaxEnd(right);
  return right;
}

function insertInto<T>(node: Node<T> | undefined, added: Node<T>): Node<T> {
  if (node === undefined) return added;
  const order = compareRanges(added.start, added.end, node);
  assert(order !== 0, 'a range is in the tree once');
  if (order < 0) {
    const left = insertInto(node.left, added);
    node.left = left;
    if (left.priority > node.priority) return rotateRight(node, left);
  } else {
    const right = insertInto(node.right, added);
    node.right = right;
    if (right.priority > node.priority) return rotateLeft(node, right);
  }
  updateMaxEnd(node);
  return node;
}

function removeFrom<T>(
  found: Node<T> | undefined,
  start: KeyString,
  end: KeyString,
): Node<T> | undefined {
  const node = present(found, 'the range to remove');
  const order = compareRanges(start, end, node);
  if (order === 0) return join(node.left, node.right);
  if (order < 0) node.left = removeFrom(node.left, start, end);
  else node.right = removeFrom(node.right, start, end);
  updateMaxEnd(node);
  return node;
}

/** One treap of two, all of `left` being before all of `right`. */
function join<T>(left: Node<T> | undefined, right: Node<T> | undefined): Node<T> | undefined {
  if (left === undefined) return right;
  if (right === undefined) return left;
  if (left.priority > right.priority) {
    left.right = join(left.right, right);
    updateMaxEnd(left);
    return left;
  }
  right.left = join(left, right.left);
  updateMaxEnd(right);
  return right;
}

function stabNode<T>(node: Node<T> | undefined, key: KeyString, found: T[]): void {
  let at = node;
  while (at !== undefined) {
    if (at.maxEnd !== '' && key >= at.maxEnd) return;
    stabNode(at.left, key, found);
    if (at.start > key) return;
    if (at.end === '' || key < at.end) found.push(at.value);
    at = at.right;
  }
}

function checkNode<T>(node: Node<T> | undefined): number {
  if (node === undefined) return 0;
  const { left, right, maxEnd } = node;
  if (left !== undefined) {
    assert(compareRanges(left.start, left.end, node) < 0, 'the left child is before');
    assert(left.priority <= node.priority, 'the left child is below');
  }
  if (right !== undefined) {
    assert(compareRanges(right.start, right.end, node) > 0, 'the right child is after');
    assert(right.priority <= node.priority, 'the right child is below');
  }
  updateMaxEnd(node);
  assert(maxEnd === node.maxEnd, 'the largest end is right');
  return 1 + checkNode(left) + checkNode(right);
}
