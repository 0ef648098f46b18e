/**
 * Who talks to whom, in the metadata of every stream and call between members, and what the other
 * side answers if it does not want to: a refusal, or an error that goes back to a client.
 */

import {
  assert,
  EtcdError,
  errorTable,
  GrpcCode,
  idToHex,
  type MemberId,
  peerUrlsMax,
} from '../../common/index.js';
import type { RpcStatus, ServerCall } from '../../transport/index.js';
import { parseUrl } from '../options/index.js';
import type { PeerHello, PeerRefusal } from './types.js';

/** Of frames and metadata; another one means that neither side can know what the other means. */
const protocolVersion = '1';

/** Metadata of one stream or call. */
export type CallMetadata = ReadonlyArray<readonly [string, string]>;

/** What a caller says of itself and of whom it thinks that it calls. */
export interface Introduction {
  readonly hello: PeerHello;
  readonly to: MemberId;
}

/** An error of another member that is none of etcd's: it can't be reached, or won't answer. */
export class PeerError extends Error {
  override readonly name = 'PeerError';
  readonly code: GrpcCode;
  readonly refusal: PeerRefusal | undefined;

  constructor(code: GrpcCode, message: string, refusal?: PeerRefusal) {
    super(message);
    this.code = code;
    this.refusal = refusal;
  }
}

/** Metadata that introduces `hello` to `to`. */
export function introduce(hello: PeerHello, to: MemberId): CallMetadata {
  assert(hello.memberId !== 0n && to !== 0n, 'who has no id yet introduces itself as nobody');
  return [
    ['kvorum-protocol', protocolVersion],
    ['kvorum-cluster', idToHex(hello.clusterId)],
    ['kvorum-from', idToHex(hello.memberId)],
    ['kvorum-incarnation', idToHex(hello.incarnation)],
    ['kvorum-version', hello.version],
    ['kvorum-to', idToHex(to)],
    ...(hello.peerUrls === undefined ? [] : [['kvorum-urls', hello.peerUrls.join(' ')] as const]),
  ];
}

/** Metadata of somebody who is no member yet. */
export const introduceNobody: CallMetadata = [['kvorum-protocol', protocolVersion]];

/** What a call says of its caller; undefined: it is none of ours, or malformed. */
export function readIntroduction(
  call: ServerCall,
): Introduction | 'nobody' | PeerRefusal | undefined {
  const protocol = call.metadata('kvorum-protocol');
  if (protocol === undefined) return undefined;
  if (protocol !== protocolVersion) return 'incompatibleVersion';
  if (call.metadata('kvorum-from') === undefined) return 'nobody';
  const clusterId = readId(call.metadata('kvorum-cluster'));
  const memberId = readId(call.metadata('kvorum-from'));
  const incarnation = readId(call.metadata('kvorum-incarnation'));
  const to = readId(call.metadata('kvorum-to'));
  const version = call.metadata('kvorum-version') ?? '';
  if (clusterId === undefined || memberId === undefined || incarnation === undefined) {
    return undefined;
  }
  if (memberId === 0n || to === undefined || !isVersion(version)) return undefined;
  const urls = readUrls(call.metadata('kvorum-urls'));
  const hello = { clusterId, memberId, incarnation, version };
  return { hello: urls === undefined ? hello : { ...hello, peerUrls: urls }, to };
}

/** A list that is longer than any is not believed, nor is one with anything else in it. */
function readUrls(text: string | undefined): string[] | undefined {
  if (text === undefined || text === '') return undefined;
  const urls = text.split(' ');
  if (urls.length > peerUrlsMax || urls.some((url) => typeof parseUrl(url) === 'string')) {
    return undefined;
  }
  return urls;
}

/** "major.minor.patch", perhaps with what a build appends to it. */
export function isVersion(text: string): boolean {
  return /^\d{1,5}\.\d{1,5}\.\d{1,5}([-+][\w.+-]{1,40})?$/.test(text);
}

function readId(text: string | undefined): bigint | undefined {
  return text !== undefined && /^[0-9a-f]{1,16}$/.test(text) ? BigInt(`0x${text}`) : undefined;
}

const refusals: ReadonlySet<string> = new Set([
  'clusterIdMismatch',
  'notForThisMember',
  'removed',
  'otherIncarnation',
  'incompatibleVersion',
] satisfies PeerRefusal[]);

function isRefusal(text: string): text is PeerRefusal {
  return refusals.has(text);
}

const refusalPrefix = 'kvorum refuses: ';
const errorPrefix = 'kvorum error ';

/** Ends `call`: its caller is not talked to. */
export function refuse(call: ServerCall, refusal: PeerRefusal): void {
  call.fail(GrpcCode.FAILED_PRECONDITION, `${refusalPrefix}${refusal}`);
}

/** The refusal in a status, if it is one. */
export function refusalOf(status: RpcStatus): PeerRefusal | undefined {
  if (status.code !== GrpcCode.FAILED_PRECONDITION) return undefined;
  if (!status.message.startsWith(refusalPrefix)) return undefined;
  const text = status.message.slice(refusalPrefix.length);
  return isRefusal(text) ? text : undefined;
}

/** Why somebody who is no member is not answered. */
export const onlyMembers = 'only members may ask this';

/** What of an error may be told to another member: what went wrong inside is for our log. */
export function asAnswer(error: unknown): EtcdError | PeerError {
  if (error instanceof EtcdError) return new EtcdError(error.reason);
  if (error instanceof PeerError) return error;
  return new PeerError(GrpcCode.INTERNAL, 'the member could not answer; its log says why');
}

/** Ends `call` with an error, such that {@link errorOf} makes the same one again. */
export function failCall(call: ServerCall, error: unknown): void {
  if (error instanceof EtcdError) {
    call.fail(error.code, `${errorPrefix}${error.reason}: ${error.message}`);
  } else {
    const { code, message } = asAnswer(error);
    call.fail(code, message);
  }
}

/** What a call that did not end well rejects with. */
export function errorOf(status: RpcStatus): EtcdError | PeerError {
  if (status.code === GrpcCode.DEADLINE_EXCEEDED) return new EtcdError('TIMEOUT');
  if (status.message.startsWith(errorPrefix)) {
    const colon = status.message.indexOf(':');
    const reason = status.message.slice(errorPrefix.length, colon);
    if (isReason(reason)) return new EtcdError(reason);
    // Of a later version: the text is all that there is to pass on.
    return new PeerError(status.code, status.message.slice(colon + 1).trim());
  }
  const refusal = refusalOf(status);
  if (refusal !== undefined) return new PeerError(status.code, `refused: ${refusal}`, refusal);
  return new PeerError(status.code, status.message);
}

function isReason(text: string): text is keyof typeof errorTable {
  return Object.hasOwn(errorTable, text);
}
