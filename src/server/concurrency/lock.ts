/** The Lock service (C-7.1 to C-7.4). */

import { emptyBytes } from '../../common/index.js';
import { lockRequest, lockResponse, unlockRequest, unlockResponse } from '../../proto/index.js';
import type { MethodHandler } from '../../transport/index.js';
import type { Host } from '../feature/index.js';
import { headerAt } from '../rpc/index.js';
import { Candidate, type Lines } from './candidate.js';
import { recipeError } from './recipe-error.js';
import type { RunningCalls } from './running-calls.js';

export function lockMethods(
  host: Host,
  running: RunningCalls,
  lines: Lines,
): Array<readonly [string, MethodHandler]> {
  return [
    running.method('/v3lockpb.Lock/Lock', async (bytes, call, calls) => {
      const { lease, name } = lockRequest.decode(bytes);
      const candidate = await Candidate.of(calls, lines, name, lease);
      try {
        const revision = await acquire(candidate);
        // From here to the answer nothing can come between.
        calls.signal.throwIfAborted();
        call.reply(lockResponse.encode({ key: candidate.key }, headerAt(host, revision)));
      } catch (error) {
        candidate.withdraw();
        throw error;
      }
    }),
    running.method('/v3lockpb.Lock/Unlock', async (bytes, call, calls) => {
      const { key } = unlockRequest.decode(bytes);
      const revision = await calls.deleteRange({ key });
      call.reply(unlockResponse.encode({}, headerAt(host, revision)));
    }),
  ];
}

/** Resolves with a revision at which the candidate owned the lock. */
async function acquire(candidate: Candidate): Promise<number> {
  const entered = await candidate.enter(emptyBytes);
  if (entered.owns) return entered.revision;
  await candidate.wait();
  const revision = await candidate.stillThere();
  if (revision === undefined) throw recipeError('sessionExpired');
  return revision;
}
