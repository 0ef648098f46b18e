/** What the commands of users and roles have in common. */

import { type CommandContext, CommandError, exit } from '../command/index.js';
import { type Answer, ask, type Rpc } from '../connect/index.js';
import { print, type Shown } from '../print/index.js';

/** Wrong arguments, in etcdctl's words. */
export function badArguments(message: string): CommandError {
  return new CommandError(message, exit.badArguments);
}

/**
 * Asks; as `etcdctl` without an end of the time: its commands of users and roles have no
 * --command-timeout. Ours have.
 */
export async function asked<Request, Response>(
  { client, program }: CommandContext,
  rpc: Rpc<Request, Response>,
  request: Partial<Request>,
): Promise<Answer<Response>> {
  const patient = { timeoutMs: Number.POSITIVE_INFINITY };
  return ask(await client(), rpc, request, program === 'etcdctl' ? patient : {});
}

/** `UserAdd` for AuthUserAddResponse; the formats beside `simple` show the message. */
export async function show(
  context: CommandContext,
  name: string,
  bytes: Buffer,
  shown: Pick<Shown, 'simple'> & Partial<Shown>,
): Promise<void> {
  await print(context, { type: `etcdserverpb.Auth${name}Response`, bytes, ...shown });
}
