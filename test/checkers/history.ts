/**
 * What clients did and saw, on one clock: the input of the checkers, filled by the simulator and by
 * the chaos run alike. Numbers stand in columns, so that a million operations fit in memory.
 *
 * Rules for those who record:
 *  - every put writes a value that no other request of the run writes: it is how a request with an
 *    unknown outcome is found again in the log (revision-checker.ts);
 *  - a client (by number) has at most one call open at a time;
 *  - 'failed' means that it certainly did nothing. In doubt: 'unknown'.
 */

/** A key with what the store says of it. */
export interface Kv {
  readonly key: string;
  readonly value: string;
  readonly create: number;
  readonly mod: number;
  readonly version: number;
  /** 0n: none. */
  readonly lease: bigint;
}

/** `any`: a relation that nobody knows, which always holds, as in etcd. */
export type CompareResult = '=' | '!=' | '<' | '>' | 'any';

interface Compared {
  readonly key: string;
  /** Of a range, all keys of which must fulfil it; as in {@link Op}. */
  readonly end?: string;
  readonly result: CompareResult;
}

/** A condition of a transaction. */
export type Condition =
  | (Compared & { readonly target: 'value'; readonly value: string })
  | (Compared & { readonly target: 'lease'; readonly lease: bigint })
  /** What nobody knows is equal to everything, as in etcd. */
  | (Compared & { readonly target: 'unknown' })
  | (Compared & {
      readonly target: 'create' | 'mod' | 'version';
      readonly number: number;
      /**
       * For checkers that do not look at revisions: the value that the caller had read at `number`
       * (null: that there was none). Only with `=`.
       */
      readonly valueThen?: string | null;
    });

/** `end`: '' is the single key, '\0' all keys from `key` on, as on the wire. */
export type Op =
  | {
      readonly type: 'put';
      readonly key: string;
      readonly value: string;
      readonly lease: bigint;
      /** The value, or the lease, stays what it is; the key must be there. */
      readonly ignoreValue?: boolean;
      readonly ignoreLease?: boolean;
    }
  | { readonly type: 'delete'; readonly key: string; readonly end: string }
  | {
      readonly type: 'get';
      readonly key: string;
      readonly end: string;
      /** 0: now. */
      readonly revision: number;
    }
  | { readonly type: 'txn'; readonly request: Request };

/** Single puts, deletes and gets are transactions without conditions. */
export interface Request {
  readonly kind: 'put' | 'delete' | 'get' | 'txn' | 'compact';
  readonly conditions: readonly Condition[];
  readonly success: readonly Op[];
  readonly failure: readonly Op[];
  /** A read that may be stale. */
  readonly serializable: boolean;
  /** Of a compaction; else 0. */
  readonly compactRevision: number;
  /**
   * One of those that only try what a member stands: its keys are nobody else's, and only the first
   * put of each branch writes a value of its own.
   */
  readonly isHostile?: boolean;
}

export type OpResult =
  | { readonly type: 'put' }
  | { readonly type: 'delete'; readonly deleted: number }
  | { readonly type: 'get'; readonly kvs: readonly Kv[] }
  | { readonly type: 'txn'; readonly succeeded: boolean; readonly results: readonly OpResult[] };

export interface Response {
  /** Of the header. */
  readonly revision: number;
  readonly succeeded: boolean;
  readonly results: readonly OpResult[];
}

export type Outcome = 'open' | 'ok' | 'failed' | 'unknown';
const outcomes: readonly Outcome[] = ['open', 'ok', 'failed', 'unknown'];

const noResults: readonly OpResult[] = [];
const noOps: readonly Op[] = [];

export function putRequest(key: string, value: string, lease = 0n): Request {
  return single('put', { type: 'put', key, value, lease }, false);
}
export function deleteRequest(key: string, end = ''): Request {
  return single('delete', { type: 'delete', key, end }, false);
}
export function getRequest(
  key: string,
  options: {
    readonly end?: string;
    readonly revision?: number;
    readonly serializable?: boolean;
  } = {},
): Request {
  const { end = '', revision = 0, serializable = false } = options;
  return single('get', { type: 'get', key, end, revision }, serializable);
}
export function txnRequest(
  conditions: readonly Condition[],
  success: readonly Op[],
  failure: readonly Op[] = noOps,
): Request {
  return { kind: 'txn', conditions, success, failure, serializable: false, compactRevision: 0 };
}
export function compactRequest(revision: number): Request {
  return {
    kind: 'compact',
    conditions: [],
    success: noOps,
    failure: noOps,
    serializable: false,
    compactRevision: revision,
  };
}

function single(kind: Request['kind'], op: Op, serializable: boolean): Request {
  return { kind, conditions: [], success: [op], failure: noOps, serializable, compactRevision: 0 };
}

/** True if the answer says that something changed. */
export function isWrite({ results }: Pick<Response, 'results'>): boolean {
  return results.some((result) => {
    if (result.type === 'txn') return isWrite(result);
    return result.type === 'put' || (result.type === 'delete' && result.deleted > 0);
  });
}

/** An operation as the checkers see it. */
export interface Operation {
  readonly id: number;
  readonly client: number;
  readonly callMs: number;
  /** Infinity while open or unknown: it may still take effect. */
  readonly returnMs: number;
  readonly outcome: Outcome;
  readonly request: Request;
  /** Set if 'ok'. */
  readonly response: Response | undefined;
  /** Of 'failed' and 'unknown': the server's words. */
  readonly error: string;
}

/** Operations in the order of their calls. */
export class History {
  #client = new Int32Array(1024);
  #call = new Float64Array(1024);
  #return = new Float64Array(1024);
  #outcome = new Uint8Array(1024);
  readonly #requests: Request[] = [];
  readonly #responses: Array<Response | string | undefined> = [];
  readonly counts: Record<Outcome, number> = { open: 0, ok: 0, failed: 0, unknown: 0 };

  get size(): number {
    return this.#requests.length;
  }

  /** A client calls; returns the id for `end`. Times must not go back. */
  begin(client: number, callMs: number, request: Request): number {
    const id = this.#requests.length;
    if (id === this.#client.length) this.#grow();
    this.#client[id] = client;
    this.#call[id] = callMs;
    this.#return[id] = Number.POSITIVE_INFINITY;
    this.#outcome[id] = 0;
    this.#requests.push(request);
    this.#responses.push(undefined);
    this.counts.open += 1;
    return id;
  }

  succeed(id: number, returnMs: number, response: Response): void {
    const { revision, succeeded, results } = response;
    const kept = results.length === 0 ? noResults : results;
    this.#end(id, 1, returnMs, { revision, succeeded, results: kept });
  }

  /** It certainly did nothing. */
  fail(id: number, returnMs: number, error: string): void {
    this.#end(id, 2, returnMs, error);
  }

  /** It may have been done, may be done later, or never. */
  lose(id: number, error: string): void {
    this.#end(id, 3, Number.POSITIVE_INFINITY, error);
  }

  #end(id: number, outcome: number, returnMs: number, response: Response | string): void {
    if (this.#outcome[id] !== 0) throw new Error(`operation ${id} ended twice`);
    if (returnMs < (this.#call[id] ?? 0)) throw new Error(`operation ${id} ended before it began`);
    this.#outcome[id] = outcome;
    this.#return[id] = returnMs;
    this.#responses[id] = response;
    this.counts.open -= 1;
    this.counts[outcomes[outcome] as Outcome] += 1;
  }

  at(id: number): Operation {
    const response = this.#responses[id];
    return {
      id,
      client: this.#client[id] ?? 0,
      callMs: this.#call[id] ?? 0,
      returnMs: this.#return[id] ?? 0,
      outcome: outcomes[this.#outcome[id] ?? 0] ?? 'open',
      request: this.#requests[id] as Request,
      response: typeof response === 'object' ? response : undefined,
      error: typeof response === 'string' ? response : '',
    };
  }

  *[Symbol.iterator](): IterableIterator<Operation> {
    for (let id = 0; id < this.size; id += 1) yield this.at(id);
  }

  #grow(): void {
    const grown = <T extends Int32Array | Float64Array | Uint8Array>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    const length = this.#client.length * 2;
    this.#client = grown(new Int32Array(length), this.#client);
    this.#call = grown(new Float64Array(length), this.#call);
    this.#return = grown(new Float64Array(length), this.#return);
    this.#outcome = grown(new Uint8Array(length), this.#outcome);
  }
}

/** An operation in a line, for timelines and violations. */
export function describe(operation: Operation): string {
  const { id, client, callMs, returnMs, outcome, request, response, error } = operation;
  const until = Number.isFinite(returnMs) ? returnMs.toFixed(2) : '';
  const when = `[${callMs.toFixed(2)}..${until}]`;
  const answer =
    response === undefined
      ? `${outcome} ${error}`
      : `@${response.revision}${response.succeeded ? '' : ' else'} ${response.results
          .map(describeResult)
          .join('; ')}`;
  return `#${id} client ${client} ${when} ${describeRequest(request)} -> ${answer}`;
}

export function describeRequest(request: Request): string {
  if (request.kind === 'compact') return `compact ${request.compactRevision}`;
  const ops = (list: readonly Op[]): string => list.map(describeOp).join('; ');
  if (request.kind !== 'txn')
    return `${request.serializable ? 'stale ' : ''}${ops(request.success)}`;
  const conditions = request.conditions.map((condition) => {
    const { target, key, end = '', result } = condition;
    return `${target}(${showRange(key, end)})${result}${wantedBy(condition)}`;
  });
  return `if ${conditions.join(' && ')} then ${ops(request.success)} else ${ops(request.failure)}`;
}

function wantedBy(condition: Condition): string | number | bigint {
  switch (condition.target) {
    case 'value':
      return show(condition.value);
    case 'lease':
      return condition.lease;
    case 'unknown':
      return '';
    default:
      return condition.number;
  }
}

/** Keys and values may be of any size. */
function show(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 20)}(${text.length} bytes)`;
}

function showRange(key: string, end: string): string {
  return `${show(key)}${end === '' ? '' : `..${end === '\0' ? '' : show(end)}`}`;
}

function describeOp(op: Op): string {
  if (op.type === 'txn') return `(${describeRequest(op.request)})`;
  if (op.type === 'put') {
    const lease = op.ignoreLease ? ' its lease' : op.lease === 0n ? '' : ` lease ${op.lease}`;
    return `put ${show(op.key)}=${op.ignoreValue ? 'its value' : show(op.value)}${lease}`;
  }
  const range = showRange(op.key, op.end);
  if (op.type === 'delete') return `delete ${range}`;
  return `get ${range}${op.revision === 0 ? '' : `@${op.revision}`}`;
}

function describeResult(result: OpResult): string {
  if (result.type === 'put') return 'put';
  if (result.type === 'delete') return `deleted ${result.deleted}`;
  if (result.type === 'txn') return `(${result.results.map(describeResult).join('; ')})`;
  return `{${result.kvs.map(describeKv).join(', ')}}`;
}

export function describeKv(kv: Kv): string {
  return `${show(kv.key)}=${show(kv.value)}@${kv.mod}(${kv.create}/${kv.version})`;
}
