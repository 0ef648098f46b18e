/** The members that a command asks one by one, and how they are asked. */

import { isEtcdError } from '../../client/index.js';
import { type CommandContext, CommandError, exit, flag } from '../command/index.js';
import { type Answer, ask, type Rpc, urlOf } from '../connect/index.js';
import { failureText } from '../failure/index.js';
import { memberList } from './rpcs.js';

/** `--cluster` of the commands that ask each member. */
export const clusterFlag = flag.bool(false, 'ask all members of the cluster, at their client URLs');

/** The endpoints as they are named in the output: those of the flags, or those of all members. */
export async function targetsOf(
  context: CommandContext,
  wholeCluster: boolean,
): Promise<readonly string[]> {
  if (!wholeCluster) return context.global.endpoints;
  const client = await context.client();
  try {
    const { message } = await ask(client, memberList, { linearizable: true });
    return message.members.flatMap(({ clientUrls }) => clientUrls);
  } catch (error) {
    if (!isEtcdError(error)) throw error;
    const what = 'failed to fetch endpoints from etcd cluster member list';
    const message = `${what}: ${failureText(error, context)}`;
    throw new CommandError(message, exit.error, { cause: error });
  }
}

/** What one member answered, under the name that it has in the output. */
export interface Said<Response> extends Answer<Response> {
  readonly endpoint: string;
}

/** The answers in the order of the endpoints, and the last failure, if there was one. */
export interface AllSaid<Response> {
  readonly said: readonly Said<Response>[];
  readonly failure: Error | undefined;
}

/**
 * Asks all at once; `what` says in the line on stderr what could not be had of one. A member that
 * is down costs no more time than one that answers late.
 */
export async function askEach<Request, Response>(
  context: CommandContext,
  endpoints: readonly string[],
  what: string,
  rpc: Rpc<Request, Response>,
  request: Partial<Request>,
): Promise<AllSaid<Response>> {
  const client = await context.client();
  const results = await Promise.allSettled(
    endpoints.map((endpoint) =>
      ask(client, rpc, request, { endpoint: urlOf(endpoint, context.global) }),
    ),
  );
  const said: Said<Response>[] = [];
  let failure: Error | undefined;
  for (const [at, result] of results.entries()) {
    const endpoint = endpoints[at] ?? '';
    if (result.status === 'fulfilled') {
      said.push({ endpoint, ...result.value });
      continue;
    }
    const { reason } = result as { readonly reason: unknown };
    if (!isEtcdError(reason)) throw reason;
    failure = reason;
    const why = failureText(reason, context);
    context.io.stderr(`Failed to get the ${what} of endpoint ${endpoint} (${why})\n`);
  }
  return { said, failure };
}
