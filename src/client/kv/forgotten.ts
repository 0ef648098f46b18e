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
  /** Has a stack, which is only made into text if it is needed. */
  readonly #at: { stack?: string } = {};
  readonly #open: Set<Trace>;
  readonly #tell: OnForgotten;

  /** `above`: the function that people call; the stack begins with who called it. */
  constructor(open: Set<Trace>, tell: OnForgotten, above: () => unknown) {
    Error.captureStackTrace(this.#at, above);
    this.#open = open;
    this.#tell = tell;
    open.add(this);
  }

  get isOpen(): boolean {
    return this.#open.has(this);
  }

  forget(): void {
    this.#open.delete(this);
  }

  /** Once. */
  tell(): void {
    if (!this.#open.delete(this)) return;
    // The first line would be that of an error.
    this.#tell((this.#at.stack ?? '').replace(/^.*\n/, 'begun here:\n'));
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
  /** Begun in this turn. */
  readonly #fresh: Array<readonly [Begun, Trace]> = [];
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
    this.#remember(begun, trace);
    return begun;
  }

  /**
   * Nearly all are committed before the turn is over, and need not be looked after by the collector
   * of garbage, which costs ten times as much as the rest.
   */
  #remember(begun: Begun, trace: Trace): void {
    if (this.#fresh.length === 0) queueMicrotask(() => this.#register());
    this.#fresh.push([begun, trace]);
  }

  #register(): void {
    for (const [begun, trace] of this.#fresh.splice(0)) {
      if (trace.isOpen) collected.register(begun, trace);
    }
  }

  /** The client is closed, or the process exits. */
  tellAll(): void {
    this.#exit?.();
    this.#exit = undefined;
    for (const trace of [...this.#open]) trace.tell();
  }
}

/** For what is certainly committed. */
export const nobodyAsks = new Begun(undefined);
