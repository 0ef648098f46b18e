/** The commands about data, run in the test's process against a server; with calls that fail. */

import { EtcdClientError } from '../../src/client/index.js';
import { method, prefixEnd, RawClient } from '../../src/client/raw/index.js';
import {
  type Command,
  type CommandContext,
  CommandError,
  type GlobalValues,
  globalFlags,
  parseLine,
} from '../../src/ctl/command/index.js';
import { dataCommands } from '../../src/ctl/data/index.js';
import {
  decodeLeaseGrantResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  encodeLeaseGrantRequest,
  encodeLeaseRevokeRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  type RequestOp,
} from '../../src/proto/index.js';
import { type CtlRunOptions, collectingIo, runCtlHere } from './ctl-in-process.js';
import type { Finished } from './exec.js';
import type { ServerProcess } from './server.js';

/** What a run said. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Commands on the command line of a server. */
export class DataCommands {
  readonly #server: ServerProcess;
  readonly client: RawClient;

  constructor(server: ServerProcess) {
    this.#server = server;
    this.client = new RawClient({ endpoints: [server.clientUrl], timeoutMs: 60_000 });
  }

  /** Any command of kvorum. */
  async run(words: readonly string[], options: CtlRunOptions = {}): Promise<Said> {
    const flags = [`--endpoints=${this.#server.endpoint}`, '--command-timeout=60s'];
    const finished = await runCtlHere([...words, ...flags, '--dial-timeout=20s'], {
      program: 'kvorum',
      ...options,
    });
    return said(finished);
  }

  /** The same, which must go well; what it printed. */
  async ok(words: readonly string[], options: CtlRunOptions = {}): Promise<string> {
    const { code, out, err } = await this.run(words, options);
    if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}: ${err}`);
    return out;
  }

  /** What it printed as lines of JSON. */
  async json(words: readonly string[], options: CtlRunOptions = {}): Promise<unknown[]> {
    const out = await this.ok([...words, '-w', 'json'], options);
    return out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }

  /** One transaction; resolves with its revision. */
  async txn(...ops: RequestOp[]): Promise<number> {
    const request = encodeTxnRequest({ compare: [], success: ops, failure: [] });
    const { header } = decodeTxnResponse(await this.client.call(method.txn, 'write', request));
    return header?.revision ?? 0;
  }

  /** `put`; resolves with its revision. */
  put(key: string, value: string | Buffer, lease = 0n): Promise<number> {
    const bytes = typeof value === 'string' ? Buffer.from(value) : value;
    return this.putBytes(key, Buffer.alloc(0), bytes, lease);
  }

  /** The same with a key of any bytes behind `prefix`. */
  putBytes(prefix: string, rest: Buffer, value: Buffer, lease = 0n): Promise<number> {
    const request = { key: `${binary(prefix)}${rest.toString('latin1')}`, value, lease };
    const flags = { prevKv: false, ignoreValue: false, ignoreLease: false };
    return this.txn({ type: 'put', request: { ...request, ...flags } });
  }

  /** `del`; resolves with its revision. */
  del(key: string): Promise<number> {
    const request = { key: binary(key), rangeEnd: '', prevKv: false };
    return this.txn({ type: 'deleteRange', request });
  }

  /** A lease. */
  async grant(ttlSeconds: number): Promise<bigint> {
    const request = encodeLeaseGrantRequest({ id: 0n, ttlSeconds });
    return decodeLeaseGrantResponse(await this.client.call(method.leaseGrant, 'write', request)).id;
  }

  async revoke(id: bigint): Promise<void> {
    await this.client.call(method.leaseRevoke, 'write', encodeLeaseRevokeRequest({ id }));
  }

  /** Keys below a prefix with their values, without the prefix; of one revision. */
  async state(prefix: string, revision = 0): Promise<Readonly<Record<string, string>>> {
    const key = binary(prefix);
    const request = encodeRangeRequest({ key, rangeEnd: prefixEnd(key), revision });
    const { kvs } = decodeRangeResponse(await this.client.call(method.range, 'read', request));
    const entries = kvs.map((kv) => {
      return [kv.key.slice(key.length), `${kv.value.toString('latin1')} ${kv.lease}`] as const;
    });
    return Object.fromEntries(entries);
  }

  /** One of the commands about data, whose n-th call fails (from 1); all before it go well. */
  async runFailing(
    words: readonly string[],
    n: number,
    how: Failure,
    options: CtlRunOptions = {},
  ): Promise<Said | 'failed'> {
    const [name, ...rest] = words;
    const found = dataCommands.find((one) => one.name === name) as Command;
    const flags = { ...globalFlags, ...found.flags };
    const line = parseLine(rest, flags, found);
    const collected = collectingIo(options);
    const context: CommandContext = {
      io: collected.io,
      global: line.flags as unknown as GlobalValues,
      isSet: line.isSet,
      program: 'kvorum',
      root: found,
      pretty: false,
      dashAt: undefined,
      client: () => Promise.resolve(failing(this.client, n, how)),
    };
    try {
      const code = await found.run(context, line.args, line.flags, line.isSet);
      return { code, out: collected.stdout().toString(), err: collected.stderr() };
    } catch (error) {
      if (error instanceof InjectedError || error instanceof CommandError) return 'failed';
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.client.close();
  }
}

/** `lost`: never sent. `unanswered`: done, but whoever asked does not know. */
export type Failure = 'lost' | 'unanswered';

/** What a failing call rejects with. */
class InjectedError extends EtcdClientError {
  constructor() {
    const details = { code: 'UNAVAILABLE', reason: 'CONNECTION_LOST', outcome: 'unknown' } as const;
    super({ ...details, message: 'the test broke the connection' });
  }
}

function failing(client: RawClient, n: number, how: Failure): RawClient {
  let calls = 0;
  const call: RawClient['call'] = async (...args) => {
    calls += 1;
    if (calls !== n) return await client.call(...args);
    if (how === 'unanswered') await client.call(...args);
    throw new InjectedError();
  };
  return { call, clock: client.clock, stream: client.stream.bind(client) } as unknown as RawClient;
}

function binary(key: string): string {
  return Buffer.from(key, 'utf8').toString('latin1');
}

function said({ code, stdout, stderr }: Finished): Said {
  return { code, out: stdout.toString(), err: stderr };
}
