/** Calls over our own transport's client half, as promises. */

import type { GrpcCode, TlsOptions } from '../../src/common/index.js';
import { nodeClock } from '../../src/server/platform/clock-node.js';
import { nodeNetwork } from '../../src/server/platform/network-node.js';
import { type ClientStream, connectGrpc, type GrpcClient } from '../../src/transport/index.js';

/** What became of a call. */
export type Answer =
  | { readonly ok: true; readonly message: Buffer }
  | {
      readonly ok: false;
      readonly code: GrpcCode;
      readonly text: string;
      /** False: it is certain that the server never saw it. */
      readonly maySent: boolean;
    };

const connectTimeoutMs = 1000;

/** One connection to one member. */
export class Connection {
  readonly member: string;
  readonly #client: GrpcClient;

  private constructor(member: string, client: GrpcClient) {
    this.member = member;
    this.#client = client;
  }

  /** Undefined if nobody answers there. `tls`: who asks, if that has to be said. */
  static async open(
    member: string,
    port: number,
    tls: TlsOptions | undefined,
  ): Promise<Connection | undefined> {
    try {
      const client = await connectGrpc({
        clock: nodeClock,
        network: nodeNetwork,
        address: { host: '127.0.0.1', port },
        connectTimeoutMs,
        tls,
      });
      return new Connection(member, client);
    } catch {
      return undefined;
    }
  }

  get usable(): boolean {
    return this.#client.usable;
  }

  call(method: string, request: Uint8Array, timeoutMs: number): Promise<Answer> {
    return new Promise((resolve) => {
      this.#client.unary(method, request, { timeoutMs }, (status, message) => {
        if (message !== undefined) resolve({ ok: true, message: Buffer.from(message) });
        else {
          const { code, message: text, maySent } = status;
          resolve({ ok: false, code, text, maySent });
        }
      });
    });
  }

  stream(method: string): ClientStream {
    return this.#client.stream(method, {});
  }

  close(): void {
    this.#client.destroy();
  }
}
