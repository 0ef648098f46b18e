/**
 * Configuration of nodes: properties in layers, `defaults < fleet < group < node`, held to a
 * schema.
 * A property is one key, its value JSON:
 *
 *     <prefix>/fleet/<property>
 *     <prefix>/group/<group>/<property>
 *     <prefix>/node/<node>/<property>
 *
 * A later layer replaces a property as a whole.
 */

import type { Revision } from '../../common/index.js';
import type { CallOptions } from '../call/index.js';
import type { EtcdClientError } from '../errors.js';
import type { Bytes, SchemaIssue, StandardSchema } from '../keyspace/index.js';
import type { Kv } from '../kv/index.js';

/** Where a property can be set. */
export type ConfigLayer = 'fleet' | 'group' | 'node';
/** Where a property comes from. */
export type ConfigSource = 'defaults' | ConfigLayer;

/** The properties that have names of keys. */
export type PropertyOf<In> = keyof In & string;

/** `signal` and `timeoutMs` are for the first read, not for following. */
export interface ConfigOptions<In extends object, Out>
  extends Pick<CallOptions, 'signal' | 'timeoutMs'> {
  /** Before all keys; without a slash at its end. */
  readonly prefix: string;
  /** What the whole configuration must be. May be asynchronous. */
  readonly schema: StandardSchema<In, Out>;
  readonly defaults?: Partial<In>;
  /** The group of this node; none: there is no such layer. */
  readonly group?: string;
  /** The name of this node; none: there is no such layer. */
  readonly node?: string;
  /** Where the prefix is. Default: the whole key space. */
  readonly view?: Kv<Buffer, Bytes>;
  /** If what is stored is invalid at the start: fail (the default), or begin with the defaults. */
  readonly invalidStart?: 'throw' | 'defaults';
  /** Told of each state that is invalid, and so not used; must not throw. */
  readonly onProblem?: (problem: ConfigProblem) => void;
}

/** A valid configuration. */
export interface ConfigState<Out> {
  readonly value: Out;
  /** Of the store when it became so. */
  readonly revision: Revision;
  /** Property -> the layer that it comes from. */
  readonly sources: Readonly<Record<string, ConfigSource>>;
}

/** A state that is stored but not used. */
export interface ConfigProblem {
  readonly revision: Revision;
  readonly issues: readonly SchemaIssue[];
  /** DECODE_FAILED, with all issues in its message. */
  readonly error: EtcdClientError;
}

export interface ConfigWriteOptions extends CallOptions {
  /** Default `fleet`. */
  readonly layer?: ConfigLayer;
  /** Write only if the configuration has not changed since; otherwise CONFLICT. */
  readonly ifRevision?: Revision;
  /** Kept with the change, for `history`. */
  readonly author?: string;
  readonly comment?: string;
  /** Attempts before CONFLICT, if others write at the same time. Default 20. */
  readonly attemptsMax?: number;
}

export interface ConfigUpdateOptions<In extends object> extends ConfigWriteOptions {
  /** Properties to take out of the layer, so that those below count again. */
  readonly remove?: readonly PropertyOf<In>[];
}

export interface ConfigWritten {
  /** Of the change; if there was nothing to change, of the store. */
  readonly revision: Revision;
  readonly changed: readonly string[];
}

/** One property that one change set, changed or removed (undefined: it is not there). */
export interface ConfigEdit {
  readonly layer: ConfigLayer;
  /** The group or node; '' for the fleet. */
  readonly of: string;
  readonly property: string;
  /** JSON texts. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** What one revision changed. */
export interface ConfigVersion {
  readonly revision: Revision;
  readonly edits: readonly ConfigEdit[];
  readonly author: string | undefined;
  readonly comment: string | undefined;
}

export interface HistoryOptions extends CallOptions {
  /** Begin here; as far back as there is anything if left out. */
  readonly fromRevision?: Revision;
  /** At most so many, the newest. Default 100. */
  readonly limit?: number;
}

/**
 * The configuration of this node, kept up to date. Iterating gives the state now, and then the
 * newest valid one each time; any number may iterate.
 */
export interface Config<Out, In extends object>
  extends AsyncIterable<ConfigState<Out>>,
    AsyncDisposable {
  /** The last valid one. */
  readonly current: Out;
  readonly state: ConfigState<Out>;
  /** What is wrong with what is stored now; undefined: nothing. */
  readonly problem: ConfigProblem | undefined;
  /** Each state that is invalid, from now on; undefined when it has been mended. */
  problems(): AsyncIterableIterator<ConfigProblem | undefined, undefined>;
  /**
   * Sets properties of a layer, all together or not at all. What this node's configuration would
   * become must be valid, or nothing is written (ENCODE_FAILED). A function gets the properties
   * that the layer has now, and is called again when others wrote meanwhile.
   */
  update(
    changes: Partial<In> | ((layer: Partial<In>) => Partial<In>),
    options?: ConfigUpdateOptions<In>,
  ): Promise<ConfigWritten>;
  /**
   * Makes the layers of this node (or one of them) what they were at a revision, as a new change.
   * COMPACTED if that is too long ago.
   */
  rollback(revision: Revision, options?: ConfigWriteOptions): Promise<ConfigWritten>;
  /** What was changed when, oldest first, in the layers of this node. */
  history(options?: HistoryOptions): Promise<readonly ConfigVersion[]>;
  close(): Promise<void>;
}
