/** `make-mirror`: copies keys to another cluster, and then each change of them. */

import { method, prefixEnd, type RawClient } from '../../client/raw/index.js';
import type { KeyString } from '../../common/index.js';
import {
  decodeRangeResponse,
  EventType,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  type RequestOp,
  type WatchResponse,
} from '../../proto/index.js';
import {
  type CommandContext,
  CommandError,
  command,
  countOf,
  exit,
  flag,
  type ValuesOf,
} from '../command/index.js';
import { clientOf } from '../connect/index.js';
import { Watch } from '../watching/index.js';

const mirrorFlags = {
  prefix: flag.string('', 'the keys that begin with it; all of them if it is empty'),
  rev: flag.int64(0n, 'only what has changed since that revision'),
  'max-txn-ops': flag.uint64(128n, 'how many changes are sent in one transaction'),
  'dest-prefix': flag.string('', 'what stands for the prefix there'),
  'no-dest-prefix': flag.bool(false, 'leave the prefix out there'),
  'dest-cert': flag.string('', 'file of the certificate of this client for the destination'),
  'dest-key': flag.string('', 'file of the key of that certificate'),
  'dest-cacert': flag.string('', 'file of the authorities that it is verified with'),
  'dest-insecure-transport': flag.bool(true, 'no TLS to the destination'),
  'dest-user': flag.string('', 'name[:password] there; asks for the password if it is not given'),
  'dest-password': flag.string('', 'the password of --dest-user'),
} as const;

type MirrorFlags = ValuesOf<typeof mirrorFlags>;

/** How many keys are read at once. */
const pageKeys = 1_000;
/** How often it says how many changes it has made. */
const tellMs = 30_000;

const noDeadline = { timeoutMs: Number.POSITIVE_INFINITY };

export const mirrorCommand = command({
  name: 'make-mirror',
  usage: '[options] <destination>',
  short: 'Copies keys to another cluster, and their changes',
  long: [
    'Copies keys to another cluster, and then each change of them, until it is interrupted.',
    'Every 30 seconds it prints how many changes it has made.',
  ].join('\n'),
  group: 'Utility commands',
  flags: mirrorFlags,
  async run(context, args, flags) {
    const [destination] = args;
    if (destination === undefined || args.length > 1) {
      throw badArguments('make-mirror takes one destination argument');
    }
    const target = await clientOf(...destinationOf(destination, flags, context), context.io);
    try {
      const source = await context.client();
      if (flags['no-dest-prefix'] && flags['dest-prefix'] !== '') {
        throw badArguments(
          '`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one',
        );
      }
      await new Mirror(context, source, target, flags).run();
      return context.io.interrupted.aborted ? interruptedStatus : exit.error;
    } finally {
      await target.close();
    }
  },
});

/** As a shell says of a program that SIGINT has ended. */
const interruptedStatus = 130;

/** The flags of the destination as those of a client. */
function destinationOf(
  endpoint: string,
  flags: MirrorFlags,
  { global }: CommandContext,
): readonly [CommandContext['global'], CommandContext['isSet']] {
  const own = {
    ...{ endpoints: [endpoint], 'auth-jwt-token': '', 'insecure-skip-tls-verify': false },
    'insecure-transport': flags['dest-insecure-transport'],
    ...{ cert: flags['dest-cert'], key: flags['dest-key'], cacert: flags['dest-cacert'] },
    ...{ user: flags['dest-user'], password: flags['dest-password'] },
  };
  return [{ ...global, ...own }, new Set()];
}

class Mirror {
  readonly #context: CommandContext;
  readonly #source: RawClient;
  readonly #target: RawClient;
  readonly #prefix: KeyString;
  readonly #targetPrefix: KeyString;
  readonly #opsMax: number;
  readonly #from: number;
  #changes = 0;

  constructor(context: CommandContext, source: RawClient, target: RawClient, flags: MirrorFlags) {
    this.#context = context;
    this.#source = source;
    this.#target = target;
    this.#prefix = bytesOf(flags.prefix);
    const { 'dest-prefix': wanted } = flags;
    const from = Math.max(0, countOf(flags.rev) - 1);
    // As etcdctl: only with the copy of all keys the prefix stays what it is.
    const kept = !flags['no-dest-prefix'] && wanted === '' && from === 0;
    this.#targetPrefix = kept ? this.#prefix : bytesOf(wanted);
    this.#opsMax = Number(flags['max-txn-ops']);
    this.#from = from;
  }

  /** Ends when it is interrupted. Rejects with what the mirror can't go on with. */
  async run(): Promise<void> {
    const telling = this.#tellNow();
    try {
      const revision = this.#from === 0 ? await this.#copy() : this.#from;
      await this.#follow(revision + 1);
    } finally {
      telling.stop();
    }
  }

  #tellNow(): { stop(): void } {
    const { io } = this.#context;
    let timer = io.clock.after(tellMs, tell);
    const changes = (): number => this.#changes;
    function tell(): void {
      void io.stdout(`${changes()}\n`);
      timer = io.clock.after(tellMs, tell);
    }
    return { stop: () => timer.cancel() };
  }

  /** Copies all keys as they are at one revision, and says which. */
  async #copy(): Promise<number> {
    const any = encodeRangeRequest({ key: this.#prefix === '' ? 'foo' : this.#prefix });
    const head = decodeRangeResponse(await this.#read(any));
    const revision = head.header?.revision ?? 0;
    const rangeEnd = this.#prefix === '' ? '\0' : prefixEnd(this.#prefix);
    let key = this.#prefix === '' ? '\0' : this.#prefix;
    for (;;) {
      const request = encodeRangeRequest({ key, rangeEnd, limit: pageKeys, revision });
      const { kvs, more } = decodeRangeResponse(await this.#read(request));
      for (const kv of kvs) {
        const put = encodePutRequest({ key: this.#keyThere(kv.key), value: kv.value });
        await this.#target.call(method.put, 'write', put, noDeadline);
        this.#changes += 1;
      }
      const last = kvs.at(-1);
      if (!more || last === undefined) return revision;
      key = `${last.key}\0`;
    }
  }

  async #follow(startRevision: number): Promise<void> {
    const key = this.#prefix === '' ? '\0' : this.#prefix;
    const rangeEnd = this.#prefix === '' ? '\0' : prefixEnd(this.#prefix);
    const request = { key, rangeEnd, startRevision };
    const watch = new Watch(this.#source, request, this.#context.io.interrupted);
    for await (const { response } of watch.answers()) {
      if (response.compactRevision !== 0) {
        throw new CommandError('etcdserver: mvcc: required revision has been compacted');
      }
      await this.#apply(response.events);
    }
  }

  /** The changes of one revision are one transaction there, too, if it may be so large. */
  async #apply(events: WatchResponse['events']): Promise<void> {
    let ops: RequestOp[] = [];
    let revision = 0;
    const send = async (): Promise<void> => {
      if (ops.length === 0) return;
      const request = encodeTxnRequest({ compare: [], success: ops, failure: [] });
      await this.#target.call(method.txn, 'write', request, noDeadline);
      ops = [];
    };
    for (const { type, kv } of events) {
      if (kv === undefined) continue;
      if (kv.modRevision !== revision || ops.length === this.#opsMax) await send();
      revision = kv.modRevision;
      const key = this.#keyThere(kv.key);
      ops.push(
        type === EventType.PUT
          ? ({ type: 'put', request: { key, value: kv.value } } as RequestOp)
          : ({ type: 'deleteRange', request: { key } } as RequestOp),
      );
      this.#changes += 1;
    }
    await send();
  }

  #keyThere(key: KeyString): KeyString {
    return this.#targetPrefix + key.slice(this.#prefix.length);
  }

  #read(request: Buffer): Promise<Buffer> {
    return this.#source.call(method.range, 'read', request, {
      ...noDeadline,
      signal: this.#context.io.interrupted,
    });
  }
}

function bytesOf(text: string): KeyString {
  return Buffer.from(text).toString('latin1');
}

function badArguments(message: string): CommandError {
  return new CommandError(message, exit.badArguments);
}
