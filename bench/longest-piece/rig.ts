/** Members with a probe, connections to them, and what is measured while something is done. */

import type { ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodePutRequest, encodeTxnRequest } from '../../src/proto/index.js';
import type { GrpcClient } from '../../src/transport/index.js';
import type { Identity } from '../load/identity.js';
import { call, connect } from '../load/pool.js';
import { methods } from '../load/sources.js';
import type { Security } from '../security.js';
import { type Cluster, startCluster } from '../servers.js';
import type { Piece, PieceReport } from './types.js';

const probe = new URL('./probe.js', import.meta.url).href;
/** A put so often while something is measured: what others wait meanwhile. */
const putPauseMs = 3;
const callTimeoutMs = 300_000;
const triesMax = 100;
/** etcd's --max-txn-ops. */
export const txnOpsMax = 128;

export interface Row {
  readonly what: string;
  readonly pieces: readonly Piece[];
  readonly putMs: readonly number[];
  readonly tookMs: number;
}

export interface RigOptions {
  /** bin/kvorum of a checkout. */
  readonly kvorum: string | undefined;
  readonly members?: number;
  readonly security?: Security;
  readonly tell: (row: Row) => void;
}

export class Rig {
  readonly cluster: Cluster;
  readonly identity: Identity | undefined;
  /** Another user than root. */
  readonly worker: Identity | undefined;
  readonly clients: GrpcClient[] = [];
  readonly #tell: (row: Row) => void;

  /** Made by `open`. */
  constructor(cluster: Cluster, { security, tell }: RigOptions) {
    this.cluster = cluster;
    this.identity = security?.root;
    this.worker = security?.worker;
    this.#tell = tell;
  }

  static async open(options: RigOptions): Promise<Rig> {
    const { kvorum, members = 1, security } = options;
    const programs = { kvorum, security, preloads: [probe] };
    const cluster = await startCluster('kvorum', members, tmpdir(), programs);
    const rig = new Rig(cluster, options);
    for (let i = 0; i < 8; i += 1) rig.clients.push(await rig.connect());
    return rig;
  }

  connect(): Promise<GrpcClient> {
    return connect(this.cluster.endpoints[0] ?? '', 60_000, this.identity);
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.destroy();
    await this.cluster.remove();
  }

  call(method: string, request: Uint8Array, which = 0): Promise<Buffer> {
    const client = this.clients[which % this.clients.length] as GrpcClient;
    return call(client, method, request, callTimeoutMs);
  }

  /** Calls 0 to `count`, so many at a time. */
  async many(
    count: number,
    method: string,
    request: (i: number) => Uint8Array,
    atOnce = 1024,
  ): Promise<void> {
    let next = 0;
    const lane = async (which: number): Promise<void> => {
      while (next < count) {
        const i = next;
        next += 1;
        await this.#until(method, request(i), which);
      }
    };
    await Promise.all(Array.from({ length: Math.min(atOnce, count) }, (_, i) => lane(i)));
  }

  /** Again and again while the member is too busy; what then is there already is done. */
  async #until(method: string, request: Uint8Array, which: number): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      try {
        await this.call(method, request, which);
        return;
      } catch (error) {
        const text = String(error);
        if (tries > 0 && /already exists/.test(text)) return;
        if (tries === triesMax || !/timed out|too many requests/.test(text)) throw error;
        await sleep(100);
      }
    }
  }

  /** Puts keys 0 to `count`, many in a transaction. */
  async load(count: number, keyOf: (i: number) => string, valueBytes = 16, lease = 0n) {
    const value = Buffer.alloc(valueBytes, 'v');
    const put = (i: number) => ({
      type: 'put' as const,
      request: {
        ...{ key: keyOf(i), value, lease },
        ...{ prevKv: false, ignoreValue: false, ignoreLease: false },
      },
    });
    const request = (txn: number): Uint8Array => {
      const length = Math.min(txnOpsMax, count - txn * txnOpsMax);
      const success = Array.from({ length }, (_, i) => put(txn * txnOpsMax + i));
      return encodeTxnRequest({ compare: [], success, failure: [] });
    };
    await this.many(Math.ceil(count / txnOpsMax), methods.txn, request, 16);
  }

  /** What the longest turns of a member were while `work` ran, and what a put took meanwhile. */
  async measure(what: string, work: () => Promise<unknown>, member = 0): Promise<void> {
    const child = this.cluster.processes()[member] as ChildProcess;
    await asked(child, 'reset');
    const putMs: number[] = [];
    let isOver = false;
    const puts = this.#putting(putMs, () => isOver);
    const startMs = performance.now();
    try {
      await work();
    } finally {
      isOver = true;
      await puts;
    }
    const tookMs = performance.now() - startMs;
    const { longest } = await asked(child, 'report');
    this.#tell({ what, pieces: longest, putMs, tookMs });
  }

  async #putting(putMs: number[], isOver: () => boolean): Promise<void> {
    const client = await this.connect();
    const request = (): Uint8Array => encodePutRequest({ key: 'probe', value: Buffer.from('1') });
    while (!isOver()) {
      const startMs = performance.now();
      await call(client, methods.put, request(), callTimeoutMs).catch(() => {});
      putMs.push(performance.now() - startMs);
      await sleep(putPauseMs);
    }
    client.destroy();
  }
}

function asked(child: ChildProcess, order: 'reset' | 'report'): Promise<PieceReport> {
  return new Promise((resolve, reject) => {
    child.once('message', (report) => resolve(report as PieceReport));
    child.send(order, (error) => {
      if (error !== null) reject(error);
    });
  });
}
