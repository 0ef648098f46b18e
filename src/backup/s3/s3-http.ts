/**
 * Signed requests to S3, over the fetch of the platform: the one file that speaks HTTP for backups.
 * Proxies and authorities are the process's (NODE_EXTRA_CA_CERTS).
 */

import { createHash } from 'node:crypto';
import { AwsClient } from 'aws4fetch';
import { type Clock, s3RequestMs } from '../../common/index.js';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** '': none. */
  readonly sessionToken: string;
  readonly region: string;
}

export interface S3Request {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** With the query. */
  readonly url: string;
  readonly body?: Uint8Array;
}

export interface S3Answer {
  readonly status: number;
  /** Of a header, '' without. */
  header(name: string): string;
  /** Rejects if it does not go on. */
  text(): Promise<string>;
  /** Throws if it does not go on. */
  pieces(): AsyncIterable<Buffer>;
}

/** Rejects if there is no answer. */
export type S3Http = (request: S3Request, signal?: AbortSignal) => Promise<S3Answer>;

/** What S3 asks for when it is overloaded (500, 503, 429) is done some times, later and later. */
const retries = 4;

export function s3Http(credentials: S3Credentials, clock: Clock): S3Http {
  const { sessionToken, ...rest } = credentials;
  const token = sessionToken === '' ? {} : { sessionToken };
  const client = new AwsClient({ ...rest, ...token, service: 's3', retries });
  return async ({ body, method, url }, signal) => {
    const watchdog = new Watchdog(clock, signal);
    try {
      const response = await client.fetch(url, {
        method,
        // As signed, so that a body that changed on its way is refused.
        headers: {
          'x-amz-content-sha256': createHash('sha256')
            .update(body ?? '')
            .digest('hex'),
        },
        redirect: 'manual',
        signal: watchdog.signal,
        ...(body === undefined ? {} : { body }),
      });
      return answerOf(response, watchdog);
    } catch (error) {
      watchdog.end();
      throw watchdog.reason ?? reasonOf(error);
    }
  };
}

function answerOf(response: Response, watchdog: Watchdog): S3Answer {
  async function* pieces(): AsyncGenerator<Buffer> {
    try {
      if (response.body === null) return;
      for await (const piece of response.body) {
        watchdog.restart();
        yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
        // Whoever reads takes the time that it takes.
        watchdog.restart();
      }
    } catch (error) {
      throw watchdog.reason ?? reasonOf(error);
    } finally {
      watchdog.end();
    }
  }
  return {
    status: response.status,
    header: (name) => response.headers.get(name) ?? '',
    pieces,
    async text() {
      const all: Buffer[] = [];
      for await (const piece of pieces()) all.push(piece);
      return Buffer.concat(all).toString();
    },
  };
}

/** fetch says only that it failed; why is in its cause. */
function reasonOf(error: unknown): Error {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error && cause.message !== '') return cause;
  return error instanceof Error ? error : new Error(String(error));
}

/** Aborts what makes no progress. */
class Watchdog {
  /** Why it was aborted, if it was. */
  reason: Error | undefined;
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  #timer: ReturnType<Clock['after']>;

  constructor(clock: Clock, signal: AbortSignal | undefined) {
    this.#clock = clock;
    this.#timer = this.#arm();
    const stop = (): void => this.#stop(new Error('interrupted'));
    if (signal?.aborted === true) stop();
    signal?.addEventListener('abort', stop, { once: true, signal: this.#abort.signal });
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  restart(): void {
    this.#timer.cancel();
    this.#timer = this.#arm();
  }

  end(): void {
    this.#timer.cancel();
  }

  #arm() {
    return this.#clock.after(s3RequestMs, () => {
      this.#stop(new Error(`no answer within ${s3RequestMs / 1000} s`));
    });
  }

  #stop(reason: Error): void {
    this.reason ??= reason;
    this.#timer.cancel();
    this.#abort.abort(reason);
  }
}
