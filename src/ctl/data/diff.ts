/** `diff`: what was added, removed and changed between two revisions. */

import { type CommandContext, CommandError, command, flag } from '../command/index.js';
import { type Paint, paintOf } from '../print/index.js';
import { type Change, changesBetween } from './changes.js';
import { jsonChanges } from './json-changes.js';
import { spanOfPrefix } from './span.js';
import { Store } from './store.js';
import {
  bytesText,
  keyField,
  keyText,
  leaseField,
  prefixOf,
  revisionOf,
  shortened,
  textField,
  wantsJson,
} from './text.js';

export const diffCommand = command({
  name: 'diff',
  usage: '[options] [prefix]',
  short: 'Shows what differs between two revisions',
  long:
    'Shows which keys were added, removed or changed between two revisions. Values that are JSON\n' +
    'objects or arrays are compared field by field. What was put again as it had been is no change.',
  group: 'Key-value commands',
  beyondEtcdctl: true,
  flags: {
    'from-rev': flag.int64(0n, 'the older revision'),
    'to-rev': flag.int64(0n, 'the newer revision; 0: now'),
    'exit-code': flag.bool(false, 'end with 1 if there are differences'),
  },
  async run(context, args, flags, isSet) {
    const json = wantsJson(context);
    const span = spanOfPrefix(prefixOf(args, 'diff'));
    if (!isSet.has('from-rev') || flags['from-rev'] <= 0n) {
      throw new CommandError('diff needs --from-rev');
    }
    const from = revisionOf('from-rev', flags['from-rev']);
    const store = await Store.of(context);
    const given = revisionOf('to-rev', flags['to-rev']);
    const to = given === 0 ? await store.revision(span) : given;
    const counts = { added: 0, removed: 0, changed: 0 };
    for await (const change of changesBetween(store, span, [from, to])) {
      const kind = kindOf(change);
      counts[kind] += 1;
      const text = json
        ? jsonLine(change, kind)
        : plainText(change, context, paintOf(context)).join('\n');
      await context.io.stdout(`${text}\n`);
    }
    const { added, removed, changed } = counts;
    if (!json) {
      const between = `from revision ${from} to ${to}`;
      context.io.stderr(`${added} added, ${removed} removed, ${changed} changed ${between}\n`);
    }
    return flags['exit-code'] && added + removed + changed > 0 ? 1 : 0;
  },
});

type Kind = 'added' | 'removed' | 'changed';

function kindOf({ before, after }: Change): Kind {
  if (before === undefined) return 'added';
  return after === undefined ? 'removed' : 'changed';
}

function jsonLine(change: Change, kind: Kind): string {
  const { key, before, after } = change;
  const fields = before && after ? jsonChanges(before.value, after.value) : undefined;
  return JSON.stringify({ ...keyField('key', key), change: kind, ...sides(change), fields });
}

function sides({ before, after }: Change): Readonly<Record<string, unknown>> {
  const side = (kv: Change['before']) =>
    kv && { ...textField('value', kv.value), ...leaseField(kv.lease), modRevision: kv.modRevision };
  return { before: side(before), after: side(after) };
}

function plainText(
  { key, before, after }: Change,
  context: CommandContext,
  paint: Paint,
): string[] {
  const room = context.pretty ? context.io.terminal.columns - 6 : Number.POSITIVE_INFINITY;
  const line = (sign: '+' | '-', text: string) =>
    paint[sign === '+' ? 'green' : 'red'](`${sign} ${shortened(text, room)}`);
  const name = keyText(key);
  if (before === undefined) return after ? [line('+', `${name} = ${bytesText(after.value)}`)] : [];
  if (after === undefined) return [line('-', `${name} = ${bytesText(before.value)}`)];
  const fields = jsonChanges(before.value, after.value);
  const lines = [paint.yellow(`~ ${name}`)];
  for (const { path, before: old, after: now } of fields ?? []) {
    if (old !== undefined) lines.push(`    ${line('-', `${path}: ${JSON.stringify(old)}`)}`);
    if (now !== undefined) lines.push(`    ${line('+', `${path}: ${JSON.stringify(now)}`)}`);
  }
  if (fields === undefined && !before.value.equals(after.value)) {
    lines.push(`    ${line('-', bytesText(before.value))}`);
    lines.push(`    ${line('+', bytesText(after.value))}`);
  }
  if (before.lease !== after.lease) {
    const leaseText = (lease: bigint) => leaseField(lease).lease ?? 'none';
    lines.push(`    lease: ${leaseText(before.lease)} -> ${leaseText(after.lease)}`);
  }
  return lines;
}
