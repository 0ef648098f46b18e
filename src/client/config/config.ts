/**
 * The configuration of a node, followed in the background.
 *
 * Invariant: `current` is always something that the schema made; a state that it refuses is
 * reported, and the last good one stays. All keys that one transaction changes take effect
 * together.
 */

import type { Revision } from '../../common/index.js';
import { callShape } from '../call/index.js';
import type { EtcdClient } from '../client.js';
import {
  followRange,
  LiveValue,
  type Scope,
  scopeOf,
  unlessAborted,
} from '../coordination/index.js';
import { EtcdClientError } from '../errors.js';
import { bytes } from '../keyspace/index.js';
import { callTimeoutMsDefault } from '../limits.js';
import {
  aFunction,
  aList,
  anObject,
  anything,
  aText,
  checkOptions,
  oneOf,
  type Shape,
  wholeNumber,
} from '../strict/index.js';
import { history } from './history.js';
import {
  assemble,
  type Entries,
  issuesError,
  judge,
  type Layout,
  layerOf,
  layoutOf,
  propertiesOf,
} from './layers.js';
import type {
  Config,
  ConfigOptions,
  ConfigProblem,
  ConfigState,
  ConfigUpdateOptions,
  ConfigVersion,
  ConfigWriteOptions,
  ConfigWritten,
  HistoryOptions,
} from './types.js';
import { callOptionsOf, type Edits, readAll, type WriteContext, write } from './write.js';

const shape: Shape<ConfigOptions<object, unknown>> = {
  signal: callShape.signal,
  timeoutMs: callShape.timeoutMs,
  prefix: aText,
  schema: anything,
  defaults: anObject,
  group: aText,
  node: aText,
  view: anObject,
  invalidStart: oneOf('throw', 'defaults'),
  onProblem: aFunction,
};

const writeShape: Shape<ConfigWriteOptions> = {
  ...callShape,
  layer: oneOf('fleet', 'group', 'node'),
  ifRevision: wholeNumber(0),
  author: aText,
  comment: aText,
  attemptsMax: wholeNumber(1),
};

const updateShape: Shape<ConfigUpdateOptions<object>> = { ...writeShape, remove: aList };

const historyShape: Shape<HistoryOptions> = {
  ...callShape,
  fromRevision: wholeNumber(0),
  limit: wholeNumber(1),
};

/** Resolves with the first valid state; see `invalidStart`. */
export async function config<In extends object, Out>(
  client: EtcdClient,
  options: ConfigOptions<In, Out>,
): Promise<Config<Out, In>> {
  checkOptions('config', options, shape);
  const { signal, timeoutMs = callTimeoutMsDefault } = options;
  const bounds = signal === undefined ? { timeoutMs } : { signal, timeoutMs };
  const scope = scopeOf(client.runtime.clock, bounds, client.signal);
  const run = new ConfigRun(client, options);
  try {
    await unlessAborted(run.started, scope.signal);
    return run;
  } catch (error) {
    void run.close();
    throw error;
  } finally {
    scope.end();
  }
}

class ConfigRun<In extends object, Out> implements Config<Out, In> {
  /** Resolves when there is a state to use. */
  readonly started: Promise<void>;
  readonly #options: ConfigOptions<In, Out>;
  readonly #context: WriteContext<In, Out>;
  readonly #live = new LiveValue<ConfigState<Out>>();
  readonly #problems = new LiveValue<ConfigProblem | undefined>();
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  /** JSON of the input that `current` came from. */
  #used = '';
  /** The keys and revisions that were judged last. */
  #judged: string | undefined;

  constructor(client: EtcdClient, options: ConfigOptions<In, Out>) {
    const { prefix, group, node, schema, defaults = {} } = options;
    this.#options = options;
    this.#context = {
      kv: (options.view ?? client.kv).as(bytes),
      layout: layoutOf(prefix, group, node),
      schema,
      defaults,
    };
    const scope = scopeOf(client.runtime.clock, {}, this.#closing.signal, client.signal);
    this.#running = this.#run(client, scope);
    this.started = this.#start();
    this.started.catch(() => undefined);
  }

  get state(): ConfigState<Out> {
    const { current } = this.#live;
    // Nobody has the object before there is a state.
    if (current === undefined) throw closedError();
    return current;
  }

  get current(): Out {
    return this.state.value;
  }

  get problem(): ConfigProblem | undefined {
    return this.#problems.current;
  }

  problems(): AsyncIterableIterator<ConfigProblem | undefined, undefined> {
    return this.#problems.read();
  }

  [Symbol.asyncIterator](): AsyncIterator<ConfigState<Out>, undefined> {
    return this.#live.read();
  }

  async update(
    changes: Partial<In> | ((layer: Partial<In>) => Partial<In>),
    options: ConfigUpdateOptions<In> = {},
  ): Promise<ConfigWritten> {
    checkOptions('config.update', options, updateShape);
    const layer = layerOf(this.#context.layout, options.layer ?? 'fleet');
    const plan = (entries: Entries): Edits => {
      const wanted =
        typeof changes === 'function'
          ? changes(propertiesOf(layer, entries) as Partial<In>)
          : changes;
      const edits = new Map<string, string | undefined>();
      for (const property of options.remove ?? []) edits.set(layer.prefix + property, undefined);
      for (const [property, value] of Object.entries(wanted)) {
        // As in JSON: a property that is undefined is none.
        if (value !== undefined) edits.set(layer.prefix + property, JSON.stringify(value));
      }
      return edits;
    };
    return write(this.#context, plan, options);
  }

  async rollback(revision: Revision, options: ConfigWriteOptions = {}): Promise<ConfigWritten> {
    checkOptions('config.rollback', options, writeShape);
    const { layout } = this.#context;
    const layers = options.layer === undefined ? layout.layers : [layerOf(layout, options.layer)];
    const then = await readAll(this.#context, { ...callOptionsOf(options), revision });
    const plan = (entries: Entries): Edits => {
      const edits = new Map<string, string | undefined>();
      for (const key of [...entries.keys(), ...then.entries.keys()]) {
        if (!layers.some(({ prefix }) => key.startsWith(prefix))) continue;
        edits.set(key, then.entries.get(key)?.value.toString());
      }
      return edits;
    };
    const { comment = `rollback to revision ${revision}` } = options;
    return write(this.#context, plan, { ...options, comment });
  }

  async history(options: HistoryOptions = {}): Promise<readonly ConfigVersion[]> {
    checkOptions('config.history', options, historyShape);
    return await history(this.#context, options);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(client: EtcdClient, scope: Scope): Promise<void> {
    const { kv, layout } = this.#context;
    try {
      const range = { prefix: layout.prefix };
      for await (const state of followRange(client.runtime, kv, range, scope.signal)) {
        await this.#take(state.entries, state.revision);
      }
      this.#end(undefined);
    } catch (error) {
      this.#end(error);
    } finally {
      scope.end();
    }
  }

  #end(error: unknown): void {
    this.#live.end(error);
    this.#problems.end(error);
  }

  async #start(): Promise<void> {
    for await (const _ of this.#live.read()) return;
    throw closedError();
  }

  async #take(entries: Entries, revision: Revision): Promise<void> {
    const { layout, schema, defaults } = this.#context;
    // Other nodes' keys change, too.
    const signature = signatureOf(layout, entries);
    if (signature === this.#judged) return;
    this.#judged = signature;
    const assembled = assemble(layout, defaults, entries);
    const judged = await judge(schema, assembled);
    if (!judged.ok) {
      await this.#refuse(judged.issues, revision);
      return;
    }
    if (this.problem !== undefined) this.#problems.set(undefined);
    const used = JSON.stringify([assembled.input, assembled.sources]);
    if (used === this.#used) return;
    this.#used = used;
    this.#live.set({ value: judged.value, revision, sources: assembled.sources });
  }

  async #refuse(issues: ConfigProblem['issues'], revision: Revision): Promise<void> {
    const { layout, schema, defaults } = this.#context;
    const error = issuesError('DECODE_FAILED', layout.prefix, issues);
    if (this.#live.current === undefined) {
      if (this.#options.invalidStart !== 'defaults') throw error;
      const assembled = assemble(layout, defaults, new Map());
      const judged = await judge(schema, assembled);
      if (!judged.ok) throw issuesError('DECODE_FAILED', layout.prefix, judged.issues);
      this.#live.set({ value: judged.value, revision, sources: assembled.sources });
    }
    const problem: ConfigProblem = { revision, issues, error };
    this.#problems.set(problem);
    this.#options.onProblem?.(problem);
  }
}

function signatureOf({ layers }: Layout, entries: Entries): string {
  let signature = '';
  for (const { key, modRevision } of entries.values()) {
    if (layers.some(({ prefix }) => key.startsWith(prefix))) signature += `${modRevision} ${key}\n`;
  }
  return signature;
}

function closedError(): EtcdClientError {
  return new EtcdClientError({
    code: 'CANCELLED',
    reason: 'CLOSED',
    outcome: 'failed',
    message: 'the configuration was closed',
  });
}
