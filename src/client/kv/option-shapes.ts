/** What the options of reads and writes of a view must be, and what a lease is. */

import { callShape } from '../call/index.js';
import { rangeShape, readShape } from '../keyspace/index.js';
import {
  aList,
  type Check,
  described,
  flag,
  oneOf,
  type Shape,
  wholeNumber,
} from '../strict/index.js';
import type { StmOptions } from './kv-types.js';
import type {
  CasOptions,
  DeleteOptions,
  LeaseChoice,
  ModifyOptions,
  PutOptions,
} from './write-types.js';

/** An id, or something that has one. */
export const aLease: Check = (value) => {
  if (typeof value === 'bigint') return undefined;
  const id: unknown =
    typeof value === 'object' && value !== null ? (value as { readonly id?: unknown }).id : value;
  if (typeof id === 'bigint') return undefined;
  if (typeof id === 'number') return `a lease or its id, which is a bigint (${described(id)}n)`;
  return 'a lease or its id, a bigint';
};

/** `true`, or left out. */
const onlyTrue: Check = (value) => (value === true ? undefined : 'true, or left out');
const modRevision = wholeNumber(0);

export const leaseChoiceShape: Shape<LeaseChoice> = { lease: aLease, keepLease: onlyTrue };

export const putShape: Shape<PutOptions> = { ...callShape, ...leaseChoiceShape, prev: flag };
export const touchShape = { ...callShape, lease: aLease, prev: flag } as const;
export const deleteShape: Shape<DeleteOptions> = { ...callShape, prev: flag };
export const casShape: Shape<CasOptions> = { ...callShape, ...leaseChoiceShape };
export const replaceShape = { ...casShape, modRevision } as const;
export const deleteIfShape = { ...callShape, modRevision } as const;
export const modifyShape: Shape<ModifyOptions> = { ...casShape, attemptsMax: wholeNumber(1) };

export const stmShape: Shape<StmOptions> = {
  ...callShape,
  isolation: oneOf('serializable-snapshot', 'serializable', 'repeatable-read'),
  attemptsMax: wholeNumber(1),
  guards: aList,
};

/** Operations of transactions have no options of calls. */
export const getOpShape = { revision: readShape.revision } as const;
const { signal: _, timeoutMs: __, metadata: ___, ...rangeOpShape } = rangeShape;

export { rangeOpShape };
export const putOpShape = { ...leaseChoiceShape, prev: flag } as const;
export const touchOpShape = { lease: aLease } as const;
export const deleteOpShape = { prev: flag } as const;
