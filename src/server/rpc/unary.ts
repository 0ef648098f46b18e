/** The common shape of methods with one request. */

import type { MethodHandler, ServerCall } from '../../transport/index.js';
import type { Host } from '../feature/index.js';
import { failCall } from './answers.js';

/** Handles one unary request; may throw, or reject, with the error to answer. */
export type UnaryRpc = (request: Buffer, call: ServerCall) => void | Promise<void>;

/** Binds `handle` to a method, with the error path that all methods share. */
export function unaryMethod(
  host: Host,
  method: string,
  handle: UnaryRpc,
  kind: 'unary' | 'serverStream' = 'unary',
): readonly [string, MethodHandler] {
  const run = (request: Buffer, call: ServerCall): void => {
    try {
      const waits = handle(request, call);
      waits?.catch((error: unknown) => failCall(host, call, error));
    } catch (error) {
      failCall(host, call, error);
    }
  };
  return [method, { kind, handle: run }];
}
