/** A row of the auth matrix: one form of one rpc, and how it is called. */

import { firstOf } from './first-of.js';
import { type Outcome, outcomeOf } from './outcome.js';
import type { Caller, World } from './world.js';

/** Done as root before or after each cell. */
export type Step = (world: World) => Promise<void>;

/** One form of one rpc. */
export interface Row {
  /** As `etcdserverpb.KV/Range`. */
  readonly rpc: string;
  /** What is asked, in some words. */
  readonly form: string;
  readonly call: (caller: Caller, world: World) => Promise<Outcome>;
  readonly before?: Step;
  /** Only after a call that was answered with `ok`. */
  readonly after?: Step;
}

/** The message, or how it is made for a caller. */
export type Request = object | ((caller: Caller, world: World) => object);

/** What may be done around a call. */
export type Around = Pick<Row, 'before' | 'after'>;

/** Calls of a unary rpc. */
export function unary(rpc: string, form: string, request: Request, around: Around = {}): Row {
  const [service, method] = split(rpc);
  const call: Row['call'] = (caller, world) =>
    outcomeOf(
      caller.client.unary(service, method, messageOf(request, caller, world), {
        metadata: caller.metadata,
      }),
    );
  return { rpc, form, call, ...around };
}

/** Calls of an rpc that answers with a stream, of which the first message counts. */
export function stream(rpc: string, form: string, request: Request, around: Around = {}): Row {
  const [service, method] = split(rpc);
  const call: Row['call'] = (caller, world) => {
    const message = messageOf(request, caller, world);
    const { metadata } = caller;
    return firstOf(caller.client.serverStream(service, method, message, { metadata }));
  };
  return { rpc, form, call, ...around };
}

/**
 * Calls of an rpc with streams both ways: one message is sent, one read. `judge` tells the outcome
 * of a message that may be a refusal.
 */
export function duplex<Res>(
  rpc: string,
  form: string,
  request: Request,
  judge: (message: Res) => Outcome,
  around: Around = {},
): Row {
  const [service, method] = split(rpc);
  const call: Row['call'] = (caller, world) => {
    const { metadata } = caller;
    const { reader, send } = caller.client.duplex<object, Res>(service, method, { metadata });
    send(messageOf(request, caller, world));
    return firstOf(reader, judge);
  };
  return { rpc, form, call, ...around };
}

function messageOf(request: Request, caller: Caller, world: World): object {
  return typeof request === 'function' ? request(caller, world) : request;
}

function split(rpc: string): readonly [service: string, method: string] {
  const [service = '', method = ''] = rpc.split('/');
  return [service, method];
}
