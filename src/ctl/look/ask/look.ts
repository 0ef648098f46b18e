/**
 * Asks a cluster how it is. Every member is asked at the same time and has a time of its own: one
 * that is silent costs that time once, and takes nothing from the others.
 */

import { isEtcdError } from '../../../client/index.js';
import { method, type PlainAnswer, type RawClient } from '../../../client/raw/index.js';
import {
  AlarmAction,
  AlarmType,
  alarmRequest,
  alarmResponse,
  authStatusRequest,
  authStatusResponse,
  memberListRequest,
  memberListResponse,
  type ProtoMember,
  statusRequest,
  statusResponse,
} from '../../../proto/index.js';
import type {
  AlarmLook,
  ClockOffset,
  ClusterLook,
  MemberLook,
  MemberStatus,
} from './cluster-look.js';
import { metricsBytesMax } from './limits.js';
import { Metrics } from './metrics-text.js';

export interface LookOptions {
  readonly client: RawClient;
  /** As given, with schemes. */
  readonly endpoints: readonly string[];
  /** For each member. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What one endpoint answered. */
interface Heard {
  readonly endpoint: string;
  readonly status: MemberStatus | undefined;
  readonly error: string | undefined;
  readonly plain: PlainAnswer;
  readonly clock: ClockOffset | undefined;
}

/** Never rejects for what a server says or does not say. */
export async function lookAtCluster(options: LookOptions): Promise<ClusterLook> {
  const { client, endpoints } = options;
  const asking = endpoints.map((endpoint) => hear(endpoint, options));
  const [listed, alarms, authEnabled, ...heard] = await Promise.all([
    memberList(options),
    alarmsOf(options),
    authStatusOf(options),
    ...asking,
  ]);
  const takenMs = client.clock.wallMs();
  const common = { takenMs, alarms, authEnabled };
  if ('error' in listed) {
    const members = heard.map((one) => memberLook(unknownMember(one), one));
    const clusterId = heard.find(({ status }) => status !== undefined)?.status?.header?.clusterId;
    // Why nobody answers is known better where each was asked by itself.
    const listError = heard.find(({ error }) => error !== undefined)?.error ?? listed.error;
    return { ...common, clusterId, members, listError };
  }
  const members = await Promise.all(
    listed.members.map(async (member) =>
      memberLook(member, await hearMember(member, heard, options)),
    ),
  );
  return { ...common, clusterId: listed.clusterId, members, listError: undefined };
}

/** By what it answered at an endpoint that was given, else at those that it tells itself. */
async function hearMember(
  member: ProtoMember,
  heard: readonly Heard[],
  options: LookOptions,
): Promise<Heard | undefined> {
  const known = heard.find(({ status }) => status?.header?.memberId === member.id);
  if (known !== undefined) return known;
  let last: Heard | undefined;
  for (const url of member.clientUrls) {
    const asked = heard.find(({ endpoint }) => endpoint === url);
    last = asked ?? (await hear(url, options));
    if (last.status !== undefined) return last;
  }
  return last;
}

async function hear(endpoint: string, options: LookOptions): Promise<Heard> {
  const { client, timeoutMs } = options;
  // A port that nobody listens on is said at once, where a call would try again until its time is over.
  const refused = new AbortController();
  const signal = AbortSignal.any([options.signal, refused.signal]);
  const sentMs = client.clock.wallMs();
  const asked = { endpoint, path: '/metrics', timeoutMs, bytesMax: metricsBytesMax, signal };
  const plainAnswer = client.get(asked).then((plain) => {
    if (/ECONNREFUSED|EHOSTUNREACH|ENOTFOUND|is refused/.test(plain.error ?? '')) refused.abort();
    return { plain, receivedMs: client.clock.wallMs() };
  });
  const statusAnswer = client
    .call(method.status, 'read', statusRequest.encode({}), { endpoint, timeoutMs, signal })
    .then(
      (bytes) => ({ status: statusResponse.decode(bytes), error: undefined }),
      (error: unknown) => ({ status: undefined, error: shortError(error) }),
    );
  const [{ plain, receivedMs }, { status, error }] = await Promise.all([plainAnswer, statusAnswer]);
  const why = refused.signal.aborted ? plain.error : error;
  return { endpoint, status, error: why, plain, clock: offsetOf(plain, sentMs, receivedMs) };
}

/** The Date is cut to a second, so the truth is half a second later, more or less. */
function offsetOf(
  { dateMs }: PlainAnswer,
  sentMs: number,
  receivedMs: number,
): ClockOffset | undefined {
  if (dateMs === undefined) return undefined;
  const offsetMs = dateMs + 500 - (sentMs + receivedMs) / 2;
  return { offsetMs, uncertaintyMs: 500 + (receivedMs - sentMs) / 2 };
}

function memberLook(member: ProtoMember | undefined, heard: Heard | undefined): MemberLook {
  const { status, plain, clock, endpoint = '' } = heard ?? {};
  const hasMetrics = plain?.status === 200;
  const metricsText = hasMetrics ? plain.body : '';
  return {
    id: member?.id ?? status?.header?.memberId,
    name: member?.name ?? '',
    isLearner: member?.isLearner ?? status?.isLearner ?? false,
    peerUrls: member?.peerUrls ?? [],
    clientUrls: member?.clientUrls ?? [],
    endpoint,
    status,
    error: heard === undefined ? 'it has told nobody where it serves clients' : heard.error,
    metrics: hasMetrics ? new Metrics(metricsText) : undefined,
    metricsText,
    metricsError: hasMetrics ? undefined : (plain?.error ?? `HTTP status ${plain?.status ?? 0}`),
    certificate: plain?.certificate,
    clock,
  };
}

function unknownMember({ status }: Heard): ProtoMember | undefined {
  const id = status?.header?.memberId;
  if (id === undefined || status === undefined) return undefined;
  return { id, name: '', peerUrls: [], clientUrls: [], isLearner: status.isLearner };
}

async function memberList(options: LookOptions) {
  // What one member knows will do: without a leader there would be no answer else.
  const request = memberListRequest.encode({ linearizable: false });
  const answer = await firstAnswer(method.memberList, request, options);
  if ('errors' in answer) return { error: shortError(answer.errors[0]) };
  const { header, members } = memberListResponse.decode(answer.bytes);
  // They come in the order of their ids, which nobody knows by heart.
  const sorted = [...members].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  return { clusterId: header?.clusterId, members: sorted };
}

async function alarmsOf(options: LookOptions): Promise<readonly AlarmLook[] | undefined> {
  const request = alarmRequest.encode({ action: AlarmAction.GET });
  const answer = await firstAnswer(method.alarm, request, options);
  if ('errors' in answer) return undefined;
  return alarmResponse.decode(answer.bytes).alarms.map(({ memberId, alarm }) => {
    return { memberId, type: alarmName(alarm) };
  });
}

async function authStatusOf(options: LookOptions): Promise<boolean | undefined> {
  const answer = await firstAnswer(method.authStatus, authStatusRequest.encode({}), options);
  if ('bytes' in answer) return authStatusResponse.decode(answer.bytes).enabled;
  // Who may not ask has been asked for a user: it is on.
  return answer.errors.some(isRefusal) ? true : undefined;
}

function isRefusal(error: unknown): boolean {
  if (!isEtcdError(error)) return false;
  return /PERMISSION|UNAUTHENTICATED|TOKEN|USER/.test(`${error.code} ${error.reason}`);
}

/** Of all endpoints at the same time: one that is silent must not stand for the cluster. */
async function firstAnswer(
  name: string,
  request: Uint8Array,
  { client, endpoints, timeoutMs, signal }: LookOptions,
): Promise<{ readonly bytes: Buffer } | { readonly errors: readonly unknown[] }> {
  const won = new AbortController();
  const either = AbortSignal.any([signal, won.signal]);
  const calls = endpoints.map((endpoint) =>
    client.call(name, 'read', request, { endpoint, timeoutMs, signal: either }),
  );
  try {
    return { bytes: await Promise.any(calls) };
  } catch (error) {
    return { errors: (error as AggregateError).errors };
  } finally {
    won.abort();
  }
}

function alarmName(type: number): string {
  const found = Object.entries(AlarmType).find(([, number]) => number === type);
  return found?.[0] ?? String(type);
}

/** Without where and how often: the line that it stands in says that. */
function shortError(error: unknown): string {
  if (!isEtcdError(error)) return String(error);
  if (error.code === 'DEADLINE_EXCEEDED' || error.reason === 'CONNECT_FAILED') return 'no answer';
  return error.message;
}
