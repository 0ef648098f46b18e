/** What the verbs that change something take and return. Types only. */

import type { LeaseId, Revision } from '../../common/index.js';
import type { CallOptions, Header } from '../call/index.js';
import type { KeyValue } from '../keyspace/index.js';

/** A lease, or anything that has one's id. */
export type LeaseRef = LeaseId | { readonly id: LeaseId };

/** The lease that a put attaches: none (and detach), this one, or the one it has. */
export type LeaseChoice =
  | { readonly lease?: LeaseRef | undefined; readonly keepLease?: never }
  | { readonly keepLease: true; readonly lease?: never };

export type PutOptions = CallOptions & {
  /** Also return what was there before. */
  readonly prev?: boolean;
} & LeaseChoice;

/** `prev` is there if it was asked for. */
export type PrevOf<V, O> = O extends { readonly prev: true }
  ? { readonly prev: KeyValue<V> | undefined }
  : O extends { readonly prev: boolean }
    ? { readonly prev?: KeyValue<V> | undefined }
    : unknown;

export type PrevsOf<V, O> = O extends { readonly prev: true }
  ? { readonly prevs: readonly KeyValue<V>[] }
  : O extends { readonly prev: boolean }
    ? { readonly prevs?: readonly KeyValue<V>[] }
    : unknown;

/** What every change returns. */
export interface WriteResult {
  readonly header: Header;
  /** The revision that the change made (or, if it changed nothing, that it found). */
  readonly revision: Revision;
}

export type PutResult<V, O = unknown> = WriteResult & PrevOf<V, O>;

export interface DeleteOptions extends CallOptions {
  /** Also return what was there before. */
  readonly prev?: boolean;
}

export type DeleteResult<V, O = unknown> = WriteResult & {
  /** Keys deleted. */
  readonly deleted: number;
} & PrevsOf<V, O>;

/** Options of the compare-and-set verbs. */
export type CasOptions = CallOptions & LeaseChoice;

/** A compare-and-set: done, or not because `current` is there instead. */
export type CasResult<V> =
  | { readonly ok: true; readonly header: Header; readonly revision: Revision }
  | {
      readonly ok: false;
      readonly header: Header;
      readonly revision: Revision;
      /** What is there; undefined: nothing. */
      readonly current: KeyValue<V> | undefined;
    };

/** Read, change, write if unchanged, and again if not. */
export type ModifyOptions = CasOptions & {
  /** Attempts before CONFLICT. Default 20. */
  readonly attemptsMax?: number;
};

export type ModifyResult<V> = {
  readonly header: Header;
  readonly revision: Revision;
  /** The value before; undefined: there was none. */
  readonly before: KeyValue<V> | undefined;
  /** False: the function returned undefined, and nothing was written. */
  readonly written: boolean;
};
