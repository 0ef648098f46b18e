/**
 * Transactions that were begun and never committed. Nothing happens then, and nothing would be
 * said: so each builder is remembered with the stack of `txn()` until it is committed or becomes an
 * operation, and what is left is told of when it is garbage, when its client is closed, or when the
 * process exits, whatever comes first. None of these is ever said of a builder that is committed
 * later, however long it is kept.
 *
 * Taking the stack costs microseconds, so production does without (`developmentChecks` of
 * EtcdOptions).
 */

/** Told of a transaction that was forgotten: the stack of where it was begun. */
export type OnForgotten = (stack: string) => void;

/** One builder, shared by all its stages. Garbage when they are. */
export class Begun {
  readonly #trace: Trace | undefined;

  constructor(trace: Trace | undefined) {
    this.#trace = trace;
  }

  /** It was committed, or made part of another. */
  used(): void {
    this.#trace?.forget();
  }
}

class Trace {
  /** An Error for its stack, which is only made into text if it is needed. */
  readonly #at: Error;
  readonly #open: Set<Trace>;
  readonly #tell: OnForgotten;

  /** `above`: the function that people call; the stack begins with who called it. */
  constructor(open: Set<Trace>, tell: OnForgotten, above: () => unknown) {
    this.#at = new Error('a transaction was begun here');
    Error.captureStackTrace(this.#at, above);
    this.#open = open;
    this.#tell = tell;
    open.add(this);
  }

  forget(): void {
    this.#open.delete(this);
  }

  /** Once. */
  tell(): void {
    if (this.#open.delete(this)) this.#tell(this.#at.stack ?? '');
  }
}

const collected = new FinalizationRegistry<Trace>((trace) => trace.tell());

/** Where what was forgotten is told, and when. */
export interface ForgottenOptions {
  readonly tell: OnForgotten;
  /** Calls when the process exits, unless that was taken back. */
  readonly onExit: (call: () => void) => () => void;
}

/** The builders of one client. */
export class Forgotten {
  readonly #open = new Set<Trace>();
  readonly #options: ForgottenOptions | undefined;
  #exit: (() => void) | undefined;

  /** Undefined: nobody wants to know, and nothing is remembered. */
  constructor(options: ForgottenOptions | undefined) {
    this.#options = options;
  }

  begin(above: () => unknown): Begun {
    if (this.#options === undefined) return nobodyAsks;
    const { tell, onExit } = this.#options;
    this.#exit ??= onExit(() => this.tellAll());
    const trace = new Trace(this.#open, tell, above);
    const begun = new Begun(trace);
    collected.register(begun, trace);
    return begun;
  }

  /** The client is closed, or the process exits. */
  tellAll(): void {
    this.#exit?.();
    this.#exit = undefined;
    for (const trace of [...this.#open]) trace.tell();
  }
}

const nobodyAsks = new Begun(undefined);
