/** `bench lease-keepalive`: renewals, one after the other on a stream for each client. */

import { method, type RawClient, type RawStream } from '../../client/raw/index.js';
import {
  decodeLeaseGrantResponse,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodeLeaseRevokeRequest,
} from '../../proto/index.js';
import { command, flag } from '../command/index.js';
import { runLoad } from './load.js';
import { type Part, runParts, sharedFlags } from './run.js';

const ttlSeconds = 600;

export const leaseBench = command({
  name: 'lease-keepalive',
  aliases: ['lease'],
  short: 'Renews leases',
  beyondEtcdctl: true,
  flags: { ...sharedFlags, total: flag.int(10_000, 'renewals') },
  run(context, _args, flags) {
    const part: Part = {
      ...{ title: 'lease-keepalive', total: flags.total },
      async run(bench, outcome) {
        const { connections, clients } = bench;
        const idle = await Promise.all(
          Array.from({ length: clients }, (_, i) =>
            Renewer.open(connections[i % connections.length] as RawClient),
          ),
        );
        const all = [...idle];
        const { clock } = context.io;
        // Whoever is free takes the next one: there are as many as calls under way.
        const call = async (): Promise<void> => {
          const renewer = idle.pop();
          if (renewer === undefined) throw new Error('no renewer is free');
          try {
            await renewer.renew();
          } finally {
            idle.push(renewer);
          }
        };
        try {
          await runLoad({ ...bench, clock, total: flags.total, rate: 0, call }, outcome);
        } finally {
          await Promise.allSettled(all.map((renewer) => renewer.close()));
        }
      },
    };
    return runParts(context, flags, [part]);
  },
});

/** A lease and the stream that it is renewed on. */
class Renewer {
  readonly #client: RawClient;
  readonly #id: bigint;
  #stream: RawStream | undefined;
  #answered: ((error?: Error) => void) | undefined;

  constructor(client: RawClient, id: bigint) {
    this.#client = client;
    this.#id = id;
  }

  static async open(client: RawClient): Promise<Renewer> {
    const request = encodeLeaseGrantRequest({ ttlSeconds, id: 0n });
    const { id } = decodeLeaseGrantResponse(await client.call(method.leaseGrant, 'write', request));
    const renewer = new Renewer(client, id);
    renewer.#stream = await client.stream(method.leaseKeepAlive, 'read', {
      message: () => renewer.#answered?.(),
      ended: (error) => renewer.#answered?.(error ?? new Error('the stream has ended')),
    });
    return renewer;
  }

  renew(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#answered = (error) => (error === undefined ? resolve() : reject(error));
      this.#stream?.send(encodeLeaseKeepAliveRequest({ id: this.#id }));
    });
  }

  async close(): Promise<void> {
    this.#stream?.cancel();
    await this.#client.call(
      method.leaseRevoke,
      'write',
      encodeLeaseRevokeRequest({ id: this.#id }),
    );
  }
}
