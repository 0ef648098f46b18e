/**
 * What helps against a failure, for people at a terminal: the errors say what is wrong, in words
 * that scripts and the SDK's users have, and this says what to type. Never printed as `etcdctl`.
 */

import { type EtcdClientError, isEtcdError, type Reason } from '../../client/index.js';

/** What the command was run with. */
export interface HintContext {
  /** As the user writes it: `kvorum`. */
  readonly program: string;
  readonly hasUser: boolean;
}

/** A sentence or two; undefined: nobody knows. */
export function hintOf(error: unknown, context: HintContext): string | undefined {
  if (!isEtcdError(error)) return undefined;
  return byReason[error.reason]?.(error, context) ?? connectionHint(textOf(error), context);
}

type Hint = (error: EtcdClientError, context: HintContext) => string | undefined;

const signIn: Hint = (_error, { hasUser }) =>
  hasUser
    ? 'This user may not do that. Somebody with the role root can grant it: ' +
      'role grant-permission, user grant-role.'
    : 'Authentication is on: give --user NAME, it asks for the password.';

const byReason: Partial<Record<Reason, Hint>> = {
  USER_EMPTY: signIn,
  PERMISSION_DENIED: signIn,
  AUTH_FAILED: () => 'The name or the password is wrong.',
  INVALID_AUTH_TOKEN: () => 'The token is not, or no longer, valid: sign in again with --user.',
  NO_SPACE: (_error, { program }) =>
    'The quota is used up, so writes are refused. Make room, then lift the alarm:\n' +
    `  ${program} compaction REVISION      the history up to there goes\n` +
    `  ${program} defrag --cluster         the room is given back\n` +
    `  ${program} alarm disarm             writes are taken again\n` +
    'Or raise --quota-backend-bytes of the members.',
  CORRUPT: (_error, { program }) =>
    'The members do not hold the same data. Find the one that differs: ' +
    `${program} endpoint hashkv --cluster, and replace it.`,
  NO_LEADER: (_error, { program }) =>
    'Fewer than half of the members are up, or they have just lost their leader. ' +
    `See ${program} endpoint status --cluster.`,
  COMPACTED: () => 'That revision is no longer kept. Read without --rev, or at a newer one.',
  LEARNER_UNSUPPORTED: (_error) =>
    'This endpoint is a learner: give --endpoints of a voting member.',
  TOO_MANY_REQUESTS: () => 'The members are behind with their work: wait, then try again.',
  MEMBER_NOT_FOUND: (_error, { program }) => `See the ids with ${program} member list.`,
  UNHEALTHY: (_error, { program }) =>
    'Not enough members are connected for this to be safe. ' +
    `See ${program} endpoint health --cluster.`,
  LEARNER_NOT_READY: () => 'It has not caught up with the leader yet: wait, then try again.',
  AUTH_NOT_ENABLED: (_error, { program }) =>
    `Authentication is off: leave out --user, or see ${program} auth status.`,
};

/** Words of connections that fail -> what to type; the first that is found. */
const connections: ReadonlyArray<readonly [RegExp, (context: HintContext) => string]> = [
  [/port for peers/, () => 'This is the peer port. Clients have their own, by default 2379.'],
  [
    /speaks TLS/,
    () =>
      'The server speaks TLS: give --cacert FILE (and --cert, --key if it wants a certificate),\n' +
      'or an endpoint that begins with https://.',
  ],
  [
    /does not speak TLS/,
    () => 'The server has no TLS: leave out --cacert, --cert and --key, and use http://.',
  ],
  [
    /wants (a|another) client certificate/,
    () => 'Give a certificate that the server trusts: --cert FILE --key FILE.',
  ],
  [
    /certificate of .* is refused/,
    () => "Give the authority of the server's certificate: --cacert FILE.",
  ],
  [/HTTP\/1 server/, () => 'This is no etcd: look at --endpoints.'],
  [
    /ECONNREFUSED/,
    ({ program }) =>
      `Nothing listens there. Is it running? ${program} status shows the members that answer at\n` +
      `--endpoints, ${program} server starts one.`,
  ],
  [/ENOTFOUND|EAI_AGAIN/, () => 'This name is not known here: look at --endpoints.'],
  [
    /EHOSTUNREACH|ENETUNREACH|no (answer|connection) (to .* )?in|ETIMEDOUT/,
    () => 'Nobody answers there: is the address right, and does a firewall let it through?',
  ],
  [
    /ENOENT/,
    () => 'There is no such socket: is the server running, and does it listen on unix:// there?',
  ],
];

function connectionHint(text: string, context: HintContext): string | undefined {
  return connections.find(([words]) => words.test(text))?.[1](context);
}

/** The message, and those of what it was caused by. */
function textOf(error: unknown): string {
  const texts: string[] = [];
  for (let one: unknown = error; one instanceof Error; one = one.cause) {
    const { code } = one as { readonly code?: unknown };
    texts.push(one.message, String(code ?? ''));
  }
  return texts.join('\n');
}
