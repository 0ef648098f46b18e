/** The key index: every key and its revisions, in memory. Start reading at key-index.ts. */

export { KeyIndexBuilder } from './builder.js';
export {
  type ClosedGeneration,
  compactItem,
  type DropRevision,
  FoundRevision,
  findAt,
  isCompactable,
  isVisible,
  itemDelete,
  itemPut,
  KeyItem,
  noLocation,
  type RevisionList,
} from './item.js';
export { KeyIndex, type QuietLeaves } from './key-index.js';
