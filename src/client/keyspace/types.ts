/**
 * The key space as a user sees it: keys, ranges, values of a kind, and reading them. Types only.
 */

import type { LeaseId, Revision } from '../../common/index.js';
import type { CallOptions, Header } from '../call/index.js';

/** A key: text (UTF-8) or bytes. Not empty. */
export type Key = string | Uint8Array;

/** Which keys: one, all with a prefix, `[from, to)`, or all. Relative to the namespace. */
export type KeyRange =
  | {
      readonly key: Key;
      readonly prefix?: never;
      readonly from?: never;
      readonly to?: never;
      readonly all?: never;
    }
  | {
      readonly prefix: Key;
      readonly key?: never;
      readonly from?: never;
      readonly to?: never;
      readonly all?: never;
    }
  | {
      readonly from: Key;
      /** Exclusive; to the end of the namespace if left out. */
      readonly to?: Key;
      readonly key?: never;
      readonly prefix?: never;
      readonly all?: never;
    }
  | {
      readonly all: true;
      readonly key?: never;
      readonly prefix?: never;
      readonly from?: never;
      readonly to?: never;
    };

/** A key with its history numbers, without the value. */
export interface KeyInfo {
  /** Relative to the namespace; text. Not valid UTF-8 is replaced: then use `keyBytes`. */
  readonly key: string;
  /** Relative to the namespace; exact. */
  readonly keyBytes: Buffer;
  /** Revision of the put that created the key. */
  readonly createRevision: Revision;
  /** Revision of the last put. */
  readonly modRevision: Revision;
  /** Puts since it was created; the first is 1. */
  readonly version: number;
  /** 0n: none. */
  readonly lease: LeaseId;
}

/** A key with its value. */
export interface KeyValue<V> extends KeyInfo {
  readonly value: V;
}

/** What the root takes for a value. */
export type Bytes = string | Uint8Array;

/** How values of one kind are kept as bytes. `In` may be wider than `Out` (defaults). */
export interface Codec<Out, In = Out> {
  /** Throws if the value is not of the kind. */
  encode(value: In): Uint8Array;
  /** Throws if the bytes are not of the kind. `bytes` may be kept. */
  decode(bytes: Buffer): Out;
}

/** The part of Standard Schema (zod, valibot, arktype and others) that is used. */
export interface StandardSchema<In = unknown, Out = In> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>;
    readonly types?: { readonly input: In; readonly output: Out } | undefined;
  };
}

export type SchemaResult<Out> =
  | { readonly value: Out; readonly issues?: undefined }
  | { readonly issues: ReadonlyArray<SchemaIssue> };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined;
}

/** Which state is read. */
export interface ReadOptions extends CallOptions {
  /** The past; the newest state if left out. */
  readonly revision?: Revision;
  /** Answered by one member from what it has: faster, works without quorum, may be stale. */
  readonly serializable?: boolean;
}

/** The order of a range; by key ascending if left out. */
export interface Sort {
  readonly by: 'key' | 'version' | 'createRevision' | 'modRevision' | 'value';
  readonly order: 'ascending' | 'descending';
}

export interface RangeOptions extends ReadOptions {
  /** At most so many, after sorting and filtering; at least 1. */
  readonly limit?: number;
  readonly sort?: Sort;
  /** No values in the result, nor in its type. */
  readonly keysOnly?: boolean;
  /** Inclusive bounds; left out: none. */
  readonly modRevisionMin?: Revision;
  readonly modRevisionMax?: Revision;
  readonly createRevisionMin?: Revision;
  readonly createRevisionMax?: Revision;
}

/** An entry of a range: with its value, or without if `keysOnly` was asked for. */
export type EntryOf<V, O> = O extends { readonly keysOnly: true }
  ? KeyInfo
  : O extends { readonly keysOnly: boolean | undefined }
    ? KeyInfo | KeyValue<V>
    : KeyValue<V>;

export interface RangeResult<E> {
  readonly header: Header;
  /** Of the store when it was read; a watch from `revision + 1` misses nothing. */
  readonly revision: Revision;
  readonly kvs: readonly E[];
  /** Keys in the range, whatever the limit and the filters. */
  readonly count: number;
  /** There are more than the limit. */
  readonly more: boolean;
}

/** Reading a range of any size page by page, all pages at one revision. */
export interface ScanOptions extends ReadOptions {
  /** Keys a page. Default 500. */
  readonly pageSize?: number;
  readonly keysOnly?: boolean;
}
