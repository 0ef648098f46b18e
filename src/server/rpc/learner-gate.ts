/**
 * What a learner answers (C-5.9): it may be far behind, so only what says so or asks
 * for no more. Everything else is refused here, in front of all handlers; clients go elsewhere.
 */

import { decodeRangeRequest } from '../../proto/index.js';
import type { MethodHandler } from '../../transport/index.js';
import { refuseCall } from './answers.js';

const answered: ReadonlySet<string> = new Set([
  '/etcdserverpb.Maintenance/Status',
  '/etcdserverpb.Maintenance/Snapshot',
]);
const rangeMethod = '/etcdserverpb.KV/Range';

/** The same handlers, refusing while `isLearner` says so. */
export function learnerGated(
  methods: ReadonlyArray<readonly [string, MethodHandler]>,
  isLearner: () => boolean,
): Array<readonly [string, MethodHandler]> {
  return methods.map(([name, method]) => {
    return answered.has(name) ? [name, method] : [name, gated(name, method, isLearner)];
  });
}

function gated(name: string, method: MethodHandler, isLearner: () => boolean): MethodHandler {
  if (method.kind === 'bidi') {
    const { handle } = method;
    return {
      kind: 'bidi',
      handle: (call) => {
        if (isLearner()) refuseCall(call, 'LEARNER_UNSUPPORTED');
        else handle(call);
      },
    };
  }
  const { kind, handle } = method;
  const mayAnswer = name === rangeMethod ? isSerializable : never;
  return {
    kind,
    handle: (request, call) => {
      if (isLearner() && !mayAnswer(request)) refuseCall(call, 'LEARNER_UNSUPPORTED');
      else handle(request, call);
    },
  };
}

function never(): boolean {
  return false;
}

function isSerializable(request: Buffer): boolean {
  try {
    return decodeRangeRequest(request).serializable;
  } catch {
    // The handler says what is wrong with it.
    return true;
  }
}
