/**
 * RPCs that kvorum does not have yet: their tests skip themselves at run time, saying so, and run
 * by themselves from the day on which the server no longer answers `unknown method` or
 * `this version of kvorum ...`. KVORUM_STRICT=1 makes such a
 * skip a failure again.
 */

import { beforeEach } from 'vitest';
import { asFailure, type RawClient, type RpcFailure } from './grpc.js';
import { targetKind } from './target.js';

/** True if the failure only says that kvorum has no such method or service yet. */
export function isPending(failure: RpcFailure): boolean {
  return failure.code === 12 && saysPending(failure.text);
}

/** The same for what a program printed. */
export function saysPending(text: string): boolean {
  if (targetKind !== 'kvorum' || process.env.KVORUM_STRICT === '1') return false;
  return /unknown (method \w+ for )?service \w+|this version of kvorum/.test(text);
}

/**
 * Skips every test of the surrounding describe block while kvorum lacks the method. `prepare` runs
 * once, before the first test, if the method is there.
 */
export function needsRpc(
  client: () => RawClient,
  rpc: readonly [service: string, method: string, request?: object | (() => Promise<object>)],
  prepare: () => Promise<void> = async () => undefined,
): void {
  let pending: RpcFailure | undefined;
  let prepared = false;
  beforeEach(async (context) => {
    if (!prepared) {
      prepared = true;
      pending = await pendingFailure(client(), rpc);
      if (pending === undefined) await prepare();
    }
    if (pending !== undefined) context.skip(`kvorum has it not yet: ${pending.text}`);
  });
}

async function pendingFailure(
  client: RawClient,
  [service, method, request = {}]: readonly [string, string, (object | (() => Promise<object>))?],
): Promise<RpcFailure | undefined> {
  const message = typeof request === 'function' ? await request() : request;
  try {
    await client.unary(service, method, message);
  } catch (error) {
    const failure = asFailure(error);
    if (isPending(failure)) return failure;
  }
  return undefined;
}

/** A request for `needsRpc` that only a server with members answers with an error of its own. */
export async function promoteItself(client: RawClient): Promise<{ readonly ID: string }> {
  return { ID: (await client.status()).header?.member_id ?? '' };
}
