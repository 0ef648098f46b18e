/** One request to a gateway, and what it answered, as far as two servers must agree on it. */

import { request as httpRequest, type IncomingMessage } from 'node:http';

/** A request, and how much of the answer is waited for. */
export interface GatewayStep {
  /** What is special about it; the path and body say the rest. */
  readonly note?: string;
  readonly path: string;
  readonly body?: string | Buffer;
  /** POST if not given. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream that stays open: lines to wait for; it is broken off then. */
  readonly lines?: number;
  /** Keeps the `token` of the answer under this name; one that was kept goes along. */
  readonly keeps?: string;
  readonly as?: string;
}

/** What was answered. */
export interface GatewayAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const headersThatMatter = [
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'allow',
  'content-type',
  'grpc-metadata-content-type',
  'location',
  'www-authenticate',
  'x-content-type-options',
];

/** A stream from which nothing comes for so long has said what it says. */
const quietMs = 700;

/** A server, and the tokens that it gave. */
export class GatewaySession {
  readonly #base: string;
  readonly #tokens = new Map<string, string>();

  /** `endpoint`: host:port. */
  constructor(endpoint: string) {
    this.#base = `http://${endpoint}`;
  }

  async run(step: GatewayStep): Promise<GatewayAnswer> {
    const token = step.as === undefined ? undefined : this.#tokens.get(step.as);
    const headers = token === undefined ? step.headers : { ...step.headers, authorization: token };
    const answer = await this.#send({ ...step, headers: headers ?? {} });
    if (step.keeps !== undefined && answer.status === 200) {
      this.#tokens.set(step.keeps, String((JSON.parse(answer.body) as { token: string }).token));
    }
    return answer;
  }

  #send(step: GatewayStep & { readonly headers: Readonly<Record<string, string>> }) {
    const { method = 'POST', path, body = '', headers, lines } = step;
    return new Promise<GatewayAnswer>((resolve, reject) => {
      // As it is: `new URL` would make another path of some.
      const { hostname, port } = new URL(this.#base);
      // Node sends the body of a DELETE without its length else.
      const length = { 'content-length': String(Buffer.byteLength(body)) };
      const sent = { ...length, ...headers };
      const asked = httpRequest({ hostname, port, path, method, headers: sent, agent: false });
      let quiet: NodeJS.Timeout | undefined;
      const nothing = () => {
        asked.destroy();
        resolve({ status: 0, headers: {}, body: '' });
      };
      if (lines !== undefined) quiet = setTimeout(nothing, quietMs);
      asked.on('error', reject);
      asked.on('response', (response) => {
        clearTimeout(quiet);
        read(response, lines).then((text) => {
          resolve({
            status: response.statusCode ?? 0,
            headers: headersOf(response),
            body: text,
          });
          asked.destroy();
        }, reject);
      });
      asked.end(body);
    });
  }
}

function headersOf(response: IncomingMessage): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of headersThatMatter) {
    const value = response.headers[name];
    if (value !== undefined) kept[name] = String(value);
  }
  return kept;
}

function read(response: IncomingMessage, lines: number | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const done = () => {
      clearTimeout(quiet);
      resolve(text);
    };
    const quiet = lines === undefined ? undefined : setTimeout(done, 10 * quietMs);
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      text += chunk;
      if (lines !== undefined && text.split('\n').length > lines) done();
    });
    response.on('end', done);
    response.on('error', reject);
  });
}
