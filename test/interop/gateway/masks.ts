/** Makes the answers of two servers comparable: what must differ becomes a name. */

import type { GatewayAnswer } from './exchange.js';

/** Members of answers whose values are a server's own. */
const masked: Readonly<Record<string, string>> = {
  cluster_id: '<cluster>',
  member_id: '<member>',
  memberID: '<member>',
  leader: '<member>',
  raft_term: '<term>',
  raftTerm: '<term>',
  raftIndex: '<index>',
  raftAppliedIndex: '<index>',
  dbSize: '<size>',
  dbSizeInUse: '<size>',
  hash: '<hash>',
  peerURLs: '<urls>',
  clientURLs: '<urls>',
  blob: '<blob>',
  remaining_bytes: '<bytes>',
  token: '<token>',
};

/** Objects whose `ID` is the server's own: members. */
const isMember = (value: object): boolean => 'peerURLs' in value;

/** The comparable form: one entry a line of the body, members in the order in which they came. */
export function comparable(answer: GatewayAnswer): unknown {
  const lines = answer.body.split('\n').map(comparableLine);
  return { status: answer.status, headers: answer.headers, lines };
}

function comparableLine(line: string): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return line;
  }
  return (
    JSON.stringify(mask(value))
      // Go's protobuf puts one or the other into its messages, by the build.
      .replaceAll('proto:\u00a0', 'proto: ')
  );
}

function mask(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(mask);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, inner]) => {
    const name2 = name === 'ID' && isMember(value) ? '<member>' : masked[name];
    return [name, name2 ?? mask(inner)] as const;
  });
  return Object.fromEntries(entries);
}

/**
 * kvorum's errors without what it says besides, for clients of older gateways; throws if that does
 * not say the same.
 */
export function withoutExtras(answer: GatewayAnswer): GatewayAnswer {
  const lines = answer.body.split('\n').map((line) => {
    if (!/^\{"error":/.test(line)) return line;
    const { error, details, ...rest } = JSON.parse(line) as Record<string, unknown>;
    if (typeof error === 'object' && error !== null) return JSON.stringify({ error: bare(error) });
    if (error !== rest.message || !isEmptyList(details)) throw new Error(`odd error: ${line}`);
    return JSON.stringify(rest);
  });
  return { ...answer, body: lines.join('\n') };
}

function bare(error: object): object {
  const { grpc_code, http_code, http_status, details, message, code } = error as never;
  const isOdd = grpc_code !== code || typeof http_status !== 'string' || http_code < 400;
  if (isOdd || !isEmptyList(details)) throw new Error(`odd error: ${JSON.stringify(error)}`);
  return { code, message };
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
