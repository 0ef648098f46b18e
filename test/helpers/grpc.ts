/**
 * A raw gRPC client for tests: @grpc/grpc-js with proto files loaded at run time, nothing of
 * kvorum's own client or codec in between.
 *
 * The proto files are kvorum's (proto/); until they exist, the ones npm etcd3 carries serve, which
 * lack RangeStream, the lock and election services and grpc.health.
 */

import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import type * as w from './grpc-types.js';
import { MessageReader } from './message-reader.js';
import type { ServerProcess } from './server.js';
import { repoRoot } from './tools.js';

/** An rpc's error as it was on the wire. */
export interface RpcFailure {
  readonly code: number;
  readonly text: string;
}

/** What a call may carry beside its message. */
export interface CallOptions {
  readonly metadata?: grpc.Metadata;
  readonly deadlineMs?: number;
}

/** A client connection to one server. */
export class RawClient {
  readonly channel: grpc.Client;

  constructor(
    target: ServerProcess | string,
    options: grpc.ClientOptions = {},
    credentials: grpc.ChannelCredentials = credentialsFor(target),
  ) {
    const endpoint = typeof target === 'string' ? target : target.endpoint;
    this.channel = new grpc.Client(endpoint, credentials, {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      // Two clients of one test file are two connections.
      'grpc.use_local_subchannel_pool': 1,
      // A restarted server is looked for again at once, not after a growing pause.
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 200,
      ...(needsName(endpoint, credentials) ? { 'grpc.ssl_target_name_override': 'localhost' } : {}),
      ...options,
    });
  }

  range = (r: w.RangeRequest, o?: CallOptions): Promise<w.RangeResponse> =>
    this.unary('etcdserverpb.KV', 'Range', r, o);
  put = (r: w.PutRequest, o?: CallOptions): Promise<w.PutResponse> =>
    this.unary('etcdserverpb.KV', 'Put', r, o);
  deleteRange = (r: w.DeleteRangeRequest, o?: CallOptions): Promise<w.DeleteRangeResponse> =>
    this.unary('etcdserverpb.KV', 'DeleteRange', r, o);
  txn = (r: w.TxnRequest, o?: CallOptions): Promise<w.TxnResponse> =>
    this.unary('etcdserverpb.KV', 'Txn', r, o);
  compact = (r: w.CompactionRequest, o?: CallOptions): Promise<w.HeaderOnly> =>
    this.unary('etcdserverpb.KV', 'Compact', r, o);
  leaseGrant = (r: w.LeaseGrantRequest, o?: CallOptions): Promise<w.LeaseGrantResponse> =>
    this.unary('etcdserverpb.Lease', 'LeaseGrant', r, o);
  leaseRevoke = (r: { readonly ID: string | number }, o?: CallOptions): Promise<w.HeaderOnly> =>
    this.unary('etcdserverpb.Lease', 'LeaseRevoke', r, o);
  leaseTimeToLive = (
    r: { readonly ID: string | number; readonly keys?: boolean },
    o?: CallOptions,
  ): Promise<w.LeaseTimeToLiveResponse> =>
    this.unary('etcdserverpb.Lease', 'LeaseTimeToLive', r, o);
  leaseLeases = (o?: CallOptions): Promise<w.LeaseLeasesResponse> =>
    this.unary('etcdserverpb.Lease', 'LeaseLeases', {}, o);
  memberList = (o?: CallOptions): Promise<w.MemberListResponse> =>
    this.unary('etcdserverpb.Cluster', 'MemberList', {}, o);
  status = (o?: CallOptions): Promise<w.StatusResponse> =>
    this.unary('etcdserverpb.Maintenance', 'Status', {}, o);
  hashKv = (r: { readonly revision?: number }, o?: CallOptions): Promise<w.HashKvResponse> =>
    this.unary('etcdserverpb.Maintenance', 'HashKV', r, o);
  alarm = (
    r: {
      readonly action?: number;
      readonly memberID?: string | number;
      readonly alarm?: number;
    },
    o?: CallOptions,
  ): Promise<w.AlarmResponse> => this.unary('etcdserverpb.Maintenance', 'Alarm', r, o);

  /** Any unary rpc by name; rejects with grpc's ServiceError. */
  unary<Res>(service: string, method: string, request: object, o?: CallOptions): Promise<Res> {
    const rpc = methodOf(service, method);
    return new Promise((resolve, reject) => {
      this.channel.makeUnaryRequest(
        rpc.path,
        rpc.requestSerialize,
        rpc.responseDeserialize,
        request,
        o?.metadata ?? new grpc.Metadata(),
        callOptions(o),
        (error, response) => (error === null ? resolve(response as Res) : reject(error)),
      );
    });
  }

  /** Any server-streaming rpc by name. */
  serverStream<Res>(
    service: string,
    method: string,
    request: object,
    o?: CallOptions,
  ): MessageReader<Res> {
    const rpc = methodOf(service, method);
    const call = this.channel.makeServerStreamRequest(
      rpc.path,
      rpc.requestSerialize,
      rpc.responseDeserialize,
      request,
      o?.metadata ?? new grpc.Metadata(),
      callOptions(o),
    );
    return new MessageReader<Res>(call);
  }

  /** Any bidirectional rpc by name. */
  duplex<Req extends object, Res>(
    service: string,
    method: string,
    o?: CallOptions,
  ): Duplex<Req, Res> {
    const rpc = methodOf(service, method);
    const call = this.channel.makeBidiStreamRequest(
      rpc.path,
      rpc.requestSerialize,
      rpc.responseDeserialize,
      o?.metadata ?? new grpc.Metadata(),
      callOptions(o),
    );
    return {
      reader: new MessageReader<Res>(call),
      send: (message) => void call.write(message),
      endSending: () => call.end(),
    };
  }

  watch(o?: CallOptions): Duplex<w.WatchRequest, w.WatchResponse> {
    return this.duplex('etcdserverpb.Watch', 'Watch', o);
  }

  keepAlive(o?: CallOptions): Duplex<{ readonly ID: string | number }, w.LeaseKeepAliveResponse> {
    return this.duplex('etcdserverpb.Lease', 'LeaseKeepAlive', o);
  }

  close(): void {
    this.channel.close();
  }
}

/**
 * By itself grpc-js (1.14) asks for a certificate of an address by TLS' server name, which may not
 * be one (RFC 6066): Node 26 refuses that. Certificates of tests are for localhost as well.
 */
function needsName(endpoint: string, credentials: grpc.ChannelCredentials): boolean {
  return isIP(endpoint.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')) > 0 && credentials._isSecure();
}

/** What the server asks of its clients, if it is one of ours. */
function credentialsFor(target: ServerProcess | string): grpc.ChannelCredentials {
  const tls = typeof target === 'string' ? undefined : target.clientTls;
  if (tls === undefined) return grpc.credentials.createInsecure();
  return grpc.credentials.createSsl(
    readFileSync(tls.ca),
    readFileSync(tls.key),
    readFileSync(tls.cert),
  );
}

/** A bidirectional stream: send messages, read messages. */
export interface Duplex<Req, Res> {
  readonly reader: MessageReader<Res>;
  send(message: Req): void;
  endSending(): void;
}

/** Bytes of a text. */
export function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** The range end that covers all keys with this prefix. */
export function prefixEnd(prefix: string): Buffer {
  const end = bytes(prefix);
  for (let i = end.length - 1; i >= 0; i--) {
    const byte = end[i] ?? 0xff;
    if (byte === 0xff) continue;
    end[i] = byte + 1;
    return end.subarray(0, i + 1);
  }
  return Buffer.from([0]);
}

/** The error of a call that must fail; throws if it succeeds. */
export async function failureOf(call: Promise<unknown>): Promise<RpcFailure> {
  let answer: unknown;
  try {
    answer = await call;
  } catch (error) {
    return asFailure(error);
  }
  throw new Error(`the call succeeded: ${JSON.stringify(answer)}`);
}

/** Code and text of a grpc error; throws anything else on. */
export function asFailure(error: unknown): RpcFailure {
  if (error instanceof Error && 'code' in error && 'details' in error) {
    return { code: Number(error.code), text: String(error.details) };
  }
  throw error;
}

/** True if the loaded proto files have this rpc. */
export function hasRpc(service: string, method: string): boolean {
  return rawMethod(service, method) !== undefined;
}

/** Decodes one message of a type like `etcdserverpb.RangeResponse`; unknown types throw. */
export function decodeMessage(rpc: readonly [string, string], message: Buffer): object {
  return methodOf(rpc[0], rpc[1]).responseDeserialize(message);
}

interface LoadedMethod {
  readonly path: string;
  readonly requestSerialize: (message: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
}

let definitions: PackageDefinition | undefined;

function loadDefinitions(): PackageDefinition {
  const own = join(repoRoot, 'proto');
  const dir = existsSync(join(own, 'rpc.proto')) ? own : join(repoRoot, 'node_modules/etcd3/proto');
  const wanted = ['rpc.proto', 'v3lock.proto', 'v3election.proto', 'health.proto'];
  const files = wanted.map((name) => join(dir, name)).filter((file) => existsSync(file));
  return loadSync(files, {
    includeDirs: [dir],
    keepCase: true,
    longs: String,
    enums: Number,
    defaults: true,
    oneofs: true,
  });
}

function rawMethod(service: string, method: string): LoadedMethod | undefined {
  definitions ??= loadDefinitions();
  const found = definitions[service];
  if (found === undefined || 'format' in found) return undefined;
  return (found as unknown as Readonly<Record<string, LoadedMethod>>)[method];
}

function methodOf(service: string, method: string): LoadedMethod {
  const found = rawMethod(service, method);
  if (found === undefined) throw new Error(`the proto files have no ${service}/${method}`);
  return found;
}

function callOptions(o: CallOptions | undefined): grpc.CallOptions {
  // Without a deadline a call to a server that is down would wait for ever.
  return { deadline: Date.now() + (o?.deadlineMs ?? 60_000) };
}
