/**
 * A cluster as a backup sees it by RPC, all of it through one member: its snapshot, the changes of
 * a watch over all keys, and what is asked for beside them.
 */

import {
  authText,
  type ChangeLine,
  type FullFacts,
  type KvHash,
  type LeaseLine,
  type Line,
  RevisionDigest,
} from '../../backup/index.js';
import { isEtcdError } from '../../client/index.js';
import { method, type RawClient } from '../../client/raw/index.js';
import { backupLeasesAtOnce, idToHex } from '../../common/index.js';
import {
  authStatusRequest,
  authStatusResponse,
  decodeLeaseLeasesResponse,
  decodeLeaseTimeToLiveResponse,
  encodeLeaseTimeToLiveRequest,
  hashKvRequest,
  hashKvResponse,
  snapshotResponse,
  statusRequest,
  statusResponse,
} from '../../proto/index.js';
import { CommandError, exit } from '../command/index.js';
import { watchedChanges } from './watched-changes.js';

const none = Buffer.alloc(0);
/** Long answers end when nothing comes any more, not after a time. */
const noDeadline = { timeoutMs: Number.POSITIVE_INFINITY };

/** What is asked of a cluster before anything is written. */
export interface ClusterFacts {
  /** Hexadecimal. */
  readonly clusterId: string;
  readonly revision: number;
  /** See authText. */
  readonly auth: string;
}

export class ClusterSource {
  readonly #client: RawClient;
  readonly #endpoint: string;
  readonly #signal: AbortSignal;

  /** Everything is asked of the first of the client's endpoints. */
  constructor(client: RawClient, signal: AbortSignal) {
    const [endpoint] = client.endpoints;
    if (endpoint === undefined) throw new CommandError('no endpoint is given', exit.badArguments);
    this.#client = client;
    this.#endpoint = endpoint;
    this.#signal = signal;
  }

  async facts(): Promise<ClusterFacts> {
    const answer = await this.#call(method.status, statusRequest.encode({}));
    const { header } = statusResponse.decode(answer);
    const auth = await this.#call(method.authStatus, authStatusRequest.encode({}));
    const { authRevision, enabled } = authStatusResponse.decode(auth);
    return {
      clusterId: idToHex(header?.clusterId ?? 0n),
      revision: header?.revision ?? 0,
      auth: authText(authRevision, enabled),
    };
  }

  /** What a full snapshot that is taken after this has at least. */
  async fullFacts({ auth, clusterId, revision }: ClusterFacts): Promise<FullFacts> {
    const digest = (await this.digest(revision)) ?? '';
    return { clusterId, revision, digest, auth, hash: await this.#hash(revision) };
  }

  /** Of the changes of one revision; undefined: it is compacted, or not there. */
  async digest(revision: number): Promise<string | undefined> {
    const digest = new RevisionDigest();
    try {
      for await (const change of this.#changes(revision, revision)) digest.add(change);
    } catch (error) {
      if (isEtcdError(error) && error.reason === 'COMPACTED') return undefined;
      throw error;
    }
    return digest.take();
  }

  /** The snapshot, with its hash at the end. */
  async *snapshot(onPiece: (remainingBytes: number) => void): AsyncGenerator<Buffer> {
    const options = { endpoint: this.#endpoint, signal: this.#signal, ...noDeadline };
    for await (const bytes of this.#client.serverStream(method.snapshot, 'read', none, options)) {
      const { blob, remainingBytes } = snapshotResponse.decode(bytes);
      onPiece(remainingBytes);
      yield blob;
    }
  }

  /** The lines of a file of changes; rejects with COMPACTED if they are not there any more. */
  async *lines(from: number, to: number, startedMs: number): AsyncGenerator<Line> {
    yield { kind: 'time', wallMs: startedMs, revision: to };
    let changes = 0;
    for await (const change of this.#changes(from, to)) {
      changes += 1;
      yield change;
    }
    const leases = await this.#leases();
    yield { kind: 'leases', count: leases.length };
    yield* leases;
    yield { kind: 'end', from, to, changes };
  }

  #changes(from: number, to: number): AsyncGenerator<ChangeLine> {
    return watchedChanges(this.#client, this.#endpoint, { from, to }, this.#signal);
  }

  async #leases(): Promise<LeaseLine[]> {
    const answer = await this.#call(method.leaseLeases, none);
    const ids = decodeLeaseLeasesResponse(answer).leases;
    const found: LeaseLine[] = [];
    for (let at = 0; at < ids.length; at += backupLeasesAtOnce) {
      const some = ids.slice(at, at + backupLeasesAtOnce).map((id) => this.#lease(id));
      for (const lease of await Promise.all(some)) if (lease !== undefined) found.push(lease);
    }
    return found;
  }

  /** Undefined: it has ended meanwhile. */
  async #lease(id: bigint): Promise<LeaseLine | undefined> {
    const request = encodeLeaseTimeToLiveRequest({ id, keys: false });
    const answer = await this.#call(method.leaseTimeToLive, request);
    const { grantedTtlSeconds: ttlSeconds } = decodeLeaseTimeToLiveResponse(answer);
    if (ttlSeconds <= 0) return undefined;
    return { kind: 'lease', id, ttlSeconds, remainingTtlSeconds: 0 };
  }

  /** Undefined: it can't be had, and the backup is as good without it. */
  async #hash(revision: number): Promise<KvHash | undefined> {
    try {
      const request = hashKvRequest.encode({ revision });
      const answer = await this.#call(method.hashKv, request, noDeadline);
      const { compactRevision, hash } = hashKvResponse.decode(answer);
      return { revision, compactRevision, hash: hash >>> 0 };
    } catch (error) {
      if (isEtcdError(error)) return undefined;
      throw error;
    }
  }

  #call(name: string, request: Uint8Array, more: object = {}): Promise<Buffer> {
    const options = { endpoint: this.#endpoint, signal: this.#signal, ...more };
    return this.#client.call(name, 'read', request, options);
  }
}
