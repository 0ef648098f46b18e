/** `history`: all that can still be read of one key, the oldest first. */

import { type Clock, type KeyString, keyToBytes } from '../../common/index.js';
import { type Event, EventType, type KeyValue } from '../../proto/index.js';
import { type CommandContext, CommandError, command, flag } from '../command/index.js';
import { type Paint, paintOf } from '../print/index.js';
import { PastEvents } from './past-events.js';
import { keyOf } from './span.js';
import { Store } from './store.js';
import { bytesText, keyField, leaseField, shortened, textField, wantsJson } from './text.js';

/** What became of the key in one revision. */
interface Entry {
  readonly revision: number;
  /** `kept`: it is older than the compaction, which has left the state and not the change. */
  readonly change: 'created' | 'changed' | 'deleted' | 'kept';
  /** Undefined: deleted. */
  readonly kv: KeyValue | undefined;
}

export const historyCommand = command({
  name: 'history',
  usage: '[options] <key>',
  short: 'Shows all revisions of a key that can still be read',
  long:
    'Shows all revisions of a key that can still be read, the oldest first: what was put, with which\n' +
    'lease, and when it was deleted. What was there before the last compaction is one line, `kept`.',
  group: 'Key-value commands',
  beyondEtcdctl: true,
  flags: { limit: flag.int(0, 'only so many of the newest; 0: all') },
  async run(context, args, flags) {
    const json = wantsJson(context);
    const [text] = args;
    if (text === undefined || text === '' || args.length > 1) {
      throw new CommandError('history takes one key');
    }
    if (flags.limit < 0 || flags.limit > limitMax) {
      throw new CommandError(`--limit is at most ${limitMax}`);
    }
    const key = keyOf(text);
    const store = await Store.of(context);
    const entries = historyOf(store, key, context.io.clock, (note) => context.io.stderr(note));
    const chosen = flags.limit === 0 ? entries : newest(entries, flags.limit);
    let shown = 0;
    for await (const entry of chosen) {
      shown += 1;
      const line = json ? jsonLine(entry, key) : plainLine(entry, context, paintOf(context));
      await context.io.stdout(`${line}\n`);
    }
    if (shown === 0)
      context.io.stderr(`${bytesText(keyToBytes(key))}: nothing can be read of it\n`);
    return undefined;
  },
});

/** They are in memory together. */
const limitMax = 1_000;

/** Everything about `key` up to now; `tell` is for what can't be shown. */
export async function* historyOf(
  store: Store,
  key: KeyString,
  clock: Pick<Clock, 'after'>,
  tell: (note: string) => void,
): AsyncGenerator<Entry, undefined, void> {
  const { kvs, header } = await store.range({ key });
  const until = header?.revision ?? 0;
  const last = kvs[0]?.modRevision;
  let from = 1;
  while (from <= (last ?? until)) {
    const events = new PastEvents(store, { key, from, until, last }, clock).read();
    for (;;) {
      const { done, value } = await events.next();
      if (!done) {
        const entry = entryOf(value);
        from = entry.revision + 1;
        yield entry;
      } else if (value.kind === 'told') return;
      else if (value.kind === 'behind') break;
      else {
        if (from > 1) tell('compacted meanwhile: what was there in between is not shown\n');
        // The state at that revision is still there, and what led to it is not.
        const kept = await store.get(key, value.revision);
        from = value.revision;
        if (kept !== undefined && kept.modRevision < from) {
          yield { revision: kept.modRevision, change: 'kept', kv: kept };
        }
        break;
      }
    }
  }
}

function entryOf({ type, kv }: Event): Entry {
  if (kv === undefined) throw new CommandError('the server told of an event without a key');
  const revision = kv.modRevision;
  if (type === EventType.DELETE) return { revision, change: 'deleted', kv: undefined };
  return { revision, change: kv.version === 1 ? 'created' : 'changed', kv };
}

async function* newest(entries: AsyncIterable<Entry>, most: number): AsyncGenerator<Entry> {
  const kept: Entry[] = [];
  for await (const entry of entries) {
    kept.push(entry);
    if (kept.length <= most) continue;
    kept.shift();
  }
  yield* kept;
}

function jsonLine({ revision, change, kv }: Entry, key: KeyString): string {
  const { version, createRevision, lease = 0n, value } = kv ?? {};
  return JSON.stringify({
    ...{ ...keyField('key', key), revision, change, version, createRevision },
    ...leaseField(lease),
    ...(value === undefined ? {} : textField('value', value)),
  });
}

function plainLine({ revision, change, kv }: Entry, context: CommandContext, paint: Paint): string {
  const colour = {
    created: paint.green,
    deleted: paint.red,
    changed: paint.yellow,
    kept: paint.dim,
  };
  const { lease } = leaseField(kv?.lease ?? 0n);
  const head = `${String(revision).padStart(8)}  ${change.padEnd(7)}`;
  const facts = kv === undefined ? '' : `  version ${kv.version}`;
  const leased = lease === undefined ? '' : `  lease ${lease}`;
  const text = kv === undefined ? '' : bytesText(kv.value);
  const room = context.io.terminal.columns - head.length - facts.length - leased.length - 2;
  const value = context.pretty ? shortened(text, room) : text;
  const end = kv === undefined ? '' : `  ${value}`;
  return `${colour[change](head)}${paint.dim(facts)}${paint.dim(leased)}${end}`;
}
