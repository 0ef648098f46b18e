/** Renews a lease over encoded messages, as etcd's client does: at a third of its time. */

import { isEtcdError } from '../../client/index.js';
import { method, type RawClient, type RawStream } from '../../client/raw/index.js';
import type { Timer } from '../../common/index.js';
import { decodeLeaseKeepAliveResponse, encodeLeaseKeepAliveRequest } from '../../proto/index.js';

/** Before a stream is opened again. */
const pauseMs = 500;

const ended = Symbol('ended');

/**
 * The answers, the first of them at once. One with a time of zero says that there is no such lease:
 * whoever reads ends then. A stream that breaks is opened again. Rejects with EtcdClientError.
 */
export async function* keepAliveAnswers(
  client: RawClient,
  id: bigint,
  signal: AbortSignal,
): AsyncGenerator<Buffer, undefined, void> {
  const request = encodeLeaseKeepAliveRequest({ id });
  while (!signal.aborted) {
    try {
      yield* oneStream(client, request, signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!isEtcdError(error) || error.code !== 'UNAVAILABLE') throw error;
    }
    await pause(client, pauseMs, signal);
  }
  return undefined;
}

async function* oneStream(
  client: RawClient,
  request: Buffer,
  signal: AbortSignal,
): AsyncGenerator<Buffer, undefined, void> {
  const queue: Array<Buffer | Error | typeof ended> = [];
  let wake: () => void = () => {};
  const put = (item: Buffer | Error | typeof ended): void => {
    queue.push(item);
    wake();
  };
  const stop = (): void => put(ended);
  const stream: RawStream = await client.stream(
    method.leaseKeepAlive,
    'read',
    { message: put, ended: (error) => put(error ?? ended) },
    { signal, metadata: { hasleader: 'true' } },
  );
  signal.addEventListener('abort', stop, { once: true });
  let timer: Timer | undefined;
  try {
    stream.send(request);
    for (;;) {
      const item = queue.shift();
      if (item === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      } else if (item === ended) return undefined;
      else if (item instanceof Error) throw item;
      else {
        yield item;
        const { ttlSeconds } = decodeLeaseKeepAliveResponse(item);
        const waitMs = (ttlSeconds * 1_000) / 3;
        timer = client.clock.after(waitMs, () => stream.send(request));
      }
    }
  } finally {
    timer?.cancel();
    signal.removeEventListener('abort', stop);
    stream.cancel();
  }
}

async function pause(client: RawClient, ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    client.clock.after(ms, resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
