/** Prints an answer in the format of `--write-out`, as etcdctl 3.7 does. */

import { type CommandContext, CommandError, exit, type GlobalValues } from '../command/index.js';
import { headerFields, headerOf } from './fields.js';
import { goJson, messageJson } from './go-json.js';
import { paintOf } from './paint.js';
import type { Output, Shown } from './shown.js';
import { tableText } from './table.js';

const formats = ['simple', 'fields', 'json', 'protobuf', 'table'] as const;

type Format = (typeof formats)[number];

/** Answers without lines of fields in etcdctl. */
const withoutFields: ReadonlySet<string> = new Set(
  [
    ...['MemberAdd', 'MemberRemove', 'MemberUpdate', 'MemberPromote', 'MoveLeader', 'Downgrade'],
    ...['AuthUserGet', 'AuthUserList', 'AuthStatus'],
  ].map((name) => `etcdserverpb.${name}Response`),
);

/** The format that the flags say. Throws CommandError for one that is not known. */
export function formatOf(global: GlobalValues): Format {
  const wanted = global['write-out'];
  const format = formats.find((one) => one === wanted);
  if (format !== undefined) return format;
  throw new CommandError('unsupported output format', exit.badFeature);
}

/** How a command fails whose answer the format can't show. */
export function unsupported(format: string): CommandError {
  return new CommandError(`${format} not supported as output format`, exit.badFeature);
}

/** Prints `shown`. Rejects with CommandError if it has no such format. */
export async function print(context: CommandContext, shown: Shown): Promise<void> {
  const output = outputOf(context, shown, formatOf(context.global));
  if (output.length > 0) await context.io.stdout(output);
}

function outputOf(context: CommandContext, shown: Shown, format: Format): Output {
  switch (format) {
    case 'simple':
      return context.pretty && shown.pretty !== undefined
        ? shown.pretty(paintOf(context))
        : shown.simple();
    case 'json':
      return `${goJson(shown.json === undefined ? messageJson(shown.bytes, shown.type) : shown.json())}\n`;
    case 'fields':
      if (shown.fields !== undefined) return shown.fields();
      if (withoutFields.has(shown.type)) throw unsupported(format);
      return headerFields(headerOf(shown.bytes, shown.type), context.global.hex);
    case 'protobuf':
      return shown.protobuf?.() ?? shown.bytes;
    case 'table':
      if (shown.table === undefined) throw unsupported(format);
      return tableText(shown.table());
  }
}
