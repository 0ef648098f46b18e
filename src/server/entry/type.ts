/**
 * What the log knows of one kind of entry: how its body is read, what it costs, when it is refused,
 * and how it becomes state. A feature declares its kinds with {@link entryType}; the interpreter
 * (node/apply.ts) finds the kind of an entry in a table and does the rest: the write transaction,
 * the quota, the alarms, the answer, the metrics.
 *
 * One class for all of them, its fields always in the same order: the interpreter's loads stay
 * monomorphic, and applying an entry makes no object beside its result.
 */

import {
  assert,
  type Caller,
  type ErrorReason,
  InvariantError,
  type LogIndex,
  type Slice,
  type Steps,
  type Term,
} from '../../common/index.js';
import type { MvccWriteTxn } from '../../storage/index.js';
import type { Permissions } from '../access/index.js';
import type { EntryKind } from './format.js';

/** The plan of an entry of which nothing has to be known before it is applied. */
export const nothingToPlan = Symbol('nothing to plan');

/** What a feature says of one kind of entry. */
export interface EntrySpec<Request, Result, Plan> {
  readonly kind: EntryKind;
  /** What etcd calls the operation: a label of its metrics, and a field of its log. */
  readonly operation: string;
  /**
   * `body` is a view of the entry, which stays as it is. Throws ProtoError: a bug, for it was
   * proposed.
   */
  readonly decode: (body: Buffer) => Request;
  /** Bytes that the request may add (logical ones); 0, the default: goes on without space. */
  readonly costBytes?: (request: Request) => number;
  /** Whether it is refused while the alarm CORRUPT is up. */
  readonly refusedWhenCorrupt: boolean;
  /**
   * Whether it goes ahead of all that waits to enter the log, and beyond what may wait there: what
   * relieves or repairs a cluster that has too much to do, and is short. The default is no.
   */
  readonly isUrgent?: boolean;
  /**
   * Why the caller may not ask for it; asked while auth is on, when it is proposed and again when
   * it is applied, but not of what the member itself proposes. A long look (at all keys of a lease,
   * say) is for {@link plan}. See also {@link onlyRoot}, {@link anyUser}, {@link onlyTheMember}.
   */
  readonly allows: (
    permissions: Permissions,
    caller: Caller,
    request: Request,
  ) => ErrorReason | undefined;
  /**
   * What {@link apply} has to know, if that is in memory and applying will not take long;
   * undefined: the entry goes through {@link plan} and {@link applySteps}. The default is {@link
   * nothingToPlan}.
   */
  readonly planAtOnce?: (request: Request, caller: Caller | undefined) => Plan | undefined;
  /**
   * Applies within this call. Throws the EtcdError of a request that can't be done before it has
   * changed anything. `wantAnswer`: somebody here waits for the result.
   */
  readonly apply?: (txn: MvccWriteTxn, request: Request, plan: Plan, wantAnswer: boolean) => Result;
  /**
   * Decides, and brings what is needed into memory. Throws the EtcdError of what can't be done.
   * `caller`: a client of a store on which auth is on; it passed {@link allows}.
   */
  readonly plan?: (request: Request, slice: Slice, caller: Caller | undefined) => Steps<Plan>;
  /** Does what was planned; can't fail any more. */
  readonly applySteps?: (
    txn: MvccWriteTxn,
    request: Request,
    plan: Plan,
    wantAnswer: boolean,
    slice: Slice,
  ) => Steps<Result>;
  /**
   * In the place of all of the above, for an entry that writes no revision: it starts work that
   * goes on behind it, and notes its place in the log itself. Throws EtcdError if it did not.
   */
  readonly schedule?: (index: LogIndex, term: Term, request: Request) => Result;
}

/** See {@link EntrySpec}: the same, with every field there. */
export interface EntryType<Request = unknown, Result = unknown, Plan = unknown> {
  readonly kind: EntryKind;
  readonly operation: string;
  readonly refusedWhenCorrupt: boolean;
  readonly isUrgent: boolean;
  decode(body: Buffer): Request;
  costBytes(request: Request): number;
  allows(permissions: Permissions, caller: Caller, request: Request): ErrorReason | undefined;
  planAtOnce(request: Request, caller: Caller | undefined): Plan | undefined;
  apply(txn: MvccWriteTxn, request: Request, plan: Plan, wantAnswer: boolean): Result;
  plan(request: Request, slice: Slice, caller: Caller | undefined): Steps<Plan>;
  applySteps(
    txn: MvccWriteTxn,
    request: Request,
    plan: Plan,
    wantAnswer: boolean,
    slice: Slice,
  ): Steps<Result>;
  /** Undefined: it is applied in the other ways. */
  schedule?(index: LogIndex, term: Term, request: Request): Result;
}

/** Declares a kind of entry. Throws InvariantError if it is not said how it is applied. */
export function entryType<Request, Result, Plan = unknown>(
  spec: EntrySpec<Request, Result, Plan>,
): EntryType<Request, Result, Plan> {
  return new DeclaredEntry(spec);
}

class DeclaredEntry<Request, Result, Plan> implements EntryType<Request, Result, Plan> {
  readonly kind: EntryKind;
  readonly operation: string;
  readonly refusedWhenCorrupt: boolean;
  readonly isUrgent: boolean;
  readonly decode: EntrySpec<Request, Result, Plan>['decode'];
  readonly costBytes: (request: Request) => number;
  readonly allows: EntrySpec<Request, Result, Plan>['allows'];
  readonly planAtOnce: (request: Request, caller: Caller | undefined) => Plan | undefined;
  readonly apply: NonNullable<EntrySpec<Request, Result, Plan>['apply']>;
  readonly plan: (request: Request, slice: Slice, caller: Caller | undefined) => Steps<Plan>;
  readonly applySteps: NonNullable<EntrySpec<Request, Result, Plan>['applySteps']>;
  readonly schedule: NonNullable<EntrySpec<Request, Result, Plan>['schedule']>;

  constructor(spec: EntrySpec<Request, Result, Plan>) {
    const ways = [spec.apply, spec.applySteps, spec.schedule];
    assert(
      ways.some((way) => way !== undefined),
      `${spec.operation} says how it is applied`,
    );
    const never = (): never => {
      throw new InvariantError(`${spec.operation} is not applied like this`);
    };
    this.kind = spec.kind;
    this.operation = spec.operation;
    this.refusedWhenCorrupt = spec.refusedWhenCorrupt;
    this.isUrgent = spec.isUrgent ?? false;
    this.decode = spec.decode;
    this.costBytes = spec.costBytes ?? nothing;
    this.allows = spec.allows;
    this.planAtOnce = spec.planAtOnce ?? (atOnce as () => Plan);
    this.apply = spec.apply ?? never;
    this.plan = spec.plan ?? (planNothing as () => Steps<Plan>);
    this.applySteps = spec.applySteps ?? never;
    this.schedule = spec.schedule as NonNullable<typeof spec.schedule>;
  }
}

/** Why the entry is refused to who asks for it; the member itself may propose what it wants. */
export function callerRefusal<Request>(
  type: Pick<EntryType<Request>, 'allows'>,
  permissions: Permissions,
  caller: Caller,
  request: Request,
): ErrorReason | undefined {
  return caller.isMember ? undefined : type.allows(permissions, caller, request);
}

/** {@link EntrySpec.allows}: who has the role root. */
export function onlyRoot(permissions: Permissions, caller: Caller): ErrorReason | undefined {
  return permissions.rootRefusal(caller);
}

/** {@link EntrySpec.allows}: anybody known. */
export function anyUser(permissions: Permissions, caller: Caller): ErrorReason | undefined {
  return permissions.userRefusal(caller);
}

/** {@link EntrySpec.allows}: whoever asks, also without saying who he is. */
export function anybody(): ErrorReason | undefined {
  return undefined;
}

/** {@link EntrySpec.allows}: what no rpc proposes: members do, also before they know of any auth. */
export function onlyTheMember(): ErrorReason | undefined {
  return undefined;
}

function nothing(): number {
  return 0;
}

function atOnce(): unknown {
  return nothingToPlan;
}

// biome-ignore lint/correctness/useYield: it has nothing to wait for.
function* planNothing(): Steps<unknown> {
  return nothingToPlan;
}

/** The types of all features, by kind. Throws InvariantError if two of them have the same. */
export function entryTable(types: ReadonlyArray<EntryType>): ReadonlyArray<EntryType | undefined> {
  const table: Array<EntryType | undefined> = [];
  for (const type of types) {
    assert(table[type.kind] === undefined, `two features apply entries of kind ${type.kind}`);
    table[type.kind] = type;
  }
  // No holes: the interpreter looks up each entry of the log here.
  return Array.from(table, (type) => type);
}
