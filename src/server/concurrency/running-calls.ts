/** The calls of these services that run at a member: how many there may be, and what ends them. */

import {
  EtcdError,
  GrpcCode,
  recipesWaitingBytesMax,
  recipesWaitingMax,
} from '../../common/index.js';
import type { MethodHandler, ServerCall } from '../../transport/index.js';
import type { Host } from '../feature/index.js';
import { failCall, refuseCall, unaryMethod } from '../rpc/index.js';
import { type Methods, RecipeCalls } from './recipe-calls.js';
import { RecipeError } from './recipe-error.js';

/** Works on one call; rejects with its error. Goes on after the client has gone, to clean up. */
export type Recipe = (request: Buffer, call: ServerCall, calls: RecipeCalls) => Promise<void>;

/** The client has gone, or the member stops. */
const over = new Error('the call is over');

/** Counts, ends and answers. */
export class RunningCalls {
  readonly #host: Host;
  readonly #methods: () => Methods;
  readonly #running = new Map<ServerCall, AbortController>();
  #bytes = 0;
  #isOver = false;

  constructor(host: Host, methods: () => Methods) {
    this.#host = host;
    this.#methods = methods;
  }

  get size(): number {
    return this.#running.size;
  }

  method(
    name: string,
    recipe: Recipe,
    kind: 'unary' | 'serverStream' = 'unary',
  ): readonly [string, MethodHandler] {
    return unaryMethod(
      this.#host,
      name,
      // What is kept of it is the handler's own.
      (bytes, call) => this.#run(Buffer.from(bytes), call, recipe),
      kind,
    );
  }

  /** Ends all: the member stops. Their keys stay, for the clients may ask another member. */
  end(): void {
    this.#isOver = true;
    for (const [call, controller] of this.#running) {
      refuseCall(call, 'STOPPED');
      controller.abort(over);
    }
  }

  async #run(request: Buffer, call: ServerCall, recipe: Recipe): Promise<void> {
    if (this.#isOver) throw new EtcdError('STOPPED');
    const isFull =
      this.#running.size >= recipesWaitingMax ||
      this.#bytes + request.length > recipesWaitingBytesMax;
    if (isFull) throw new EtcdError('TOO_MANY_REQUESTS');
    const controller = new AbortController();
    call.onCancel = () => controller.abort(over);
    if (call.cancelled) controller.abort(over);
    this.#running.set(call, controller);
    this.#bytes += request.length;
    try {
      await recipe(request, call, new RecipeCalls(this.#methods(), call, controller.signal));
    } catch (error) {
      if (error === over) call.fail(GrpcCode.CANCELLED, 'context canceled');
      else if (error instanceof RecipeError) call.fail(error.code, error.message);
      else failCall(this.#host, call, error);
    } finally {
      this.#running.delete(call);
      this.#bytes -= request.length;
    }
  }
}
