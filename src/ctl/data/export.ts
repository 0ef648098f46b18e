/** `export`: all keys of one revision as lines of JSON. */

import { CommandError, command, flag } from '../command/index.js';
import { progress } from '../progress/index.js';
import { Leases } from './leases.js';
import { exportedLine } from './record.js';
import { keyOf, spanOfPrefix } from './span.js';
import { Store } from './store.js';
import { counted, prefixOf, revisionOf, wantsJson } from './text.js';

export const exportCommand = command({
  name: 'export',
  usage: '[options] [prefix]',
  short: 'Writes keys and values as lines of JSON, all of one revision',
  long:
    'Writes keys and values as lines of JSON, all of one revision: key, value, the revisions of the\n' +
    'key, and the lease with its TTL. What is no UTF-8 is in base64, as keyBase64 and valueBase64.\n' +
    'The revision is told on stderr; --rev with it, and --from with the last key, go on after an\n' +
    'interruption.',
  group: 'Key-value commands',
  beyondEtcdctl: true,
  flags: {
    rev: flag.int64(0n, 'of this revision; 0: of the newest'),
    from: flag.string('', 'begin behind this key'),
  },
  async run(context, args, flags) {
    wantsJson(context);
    const { io } = context;
    const span = spanOfPrefix(prefixOf(args, 'export'));
    const from = keyOf(flags.from);
    const key = from >= span.key ? `${from}\0` : span.key;
    if (span.rangeEnd !== '\0' && key >= span.rangeEnd) {
      throw new CommandError('--from is behind all keys of the prefix');
    }
    const store = await Store.of(context);
    const leases = new Leases(store);
    let revision = revisionOf('rev', flags.rev);
    let keys = 0;
    const shown = progress(io, { title: 'exporting', unit: 'keys' });
    try {
      for await (const page of store.pages({ ...span, key }, { revision })) {
        revision = page.revision;
        shown.set(keys, keys + page.left);
        for (const kv of page.kvs) {
          const ttl = kv.lease === 0n ? 0 : await leases.ttlSeconds(kv.lease);
          await io.stdout(`${exportedLine(kv, ttl)}\n`);
        }
        keys += page.kvs.length;
      }
    } catch (error) {
      shown.end();
      io.stderr(`${counted(keys, 'key')} of revision ${revision} written, and not all\n`);
      throw error;
    } finally {
      shown.end();
    }
    io.stderr(`${counted(keys, 'key')} of revision ${revision}\n`);
    return undefined;
  },
});
