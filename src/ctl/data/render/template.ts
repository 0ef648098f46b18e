/**
 * Templates in the Liquid language, and what they know of keys. The only import of liquidjs: it is
 * loaded with the first template. A template sees keys and nothing else: no file, no variable of
 * the environment; and what is not there is an error, not an empty text.
 */

import { isUtf8 } from 'node:buffer';
import { createRequire } from 'node:module';
import type * as LiquidJs from 'liquidjs';
import { type KeyString, keyToBytes } from '../../../common/index.js';
import { CommandError } from '../../command/index.js';
import { fileBytesMax, renderMemoryMax, renderMsMax } from '../limits.js';
import { keyOf } from '../span.js';
import type { Keys } from './keys.js';

/** What a template may ask for. */
export interface Sight {
  readonly keys: Keys;
  /** What is below these was asked for; other keys are not known. */
  readonly prefixes: readonly KeyString[];
}

/** The text that `template` gives with these keys. Rejects with CommandError: `name:3: why`. */
export async function rendered(template: string, name: string, sight: Sight): Promise<string> {
  const { Liquid } = createRequire(import.meta.url)('liquidjs') as typeof LiquidJs;
  const liquid = new Liquid({
    ...{ strictVariables: true, strictFilters: true, ownPropertyOnly: true },
    // `{% for host in ("/hosts/" | entries) %}`.
    groupedExpressions: true,
    // Instead of files.
    templates: {},
    ...{ parseLimit: fileBytesMax, renderLimit: renderMsMax, memoryLimit: renderMemoryMax },
  });
  const bare = bareLoop.exec(template);
  if (bare !== null) {
    const line = template.slice(0, bare.index).split('\n').length;
    throw new CommandError(`${name}:${line}: a filter in a loop needs parentheses: ${loopExample}`);
  }
  for (const [filter, run] of Object.entries(filtersOf(sight))) liquid.registerFilter(filter, run);
  try {
    return String(await liquid.parseAndRender(template));
  } catch (error) {
    const { message, token } = error as Partial<LiquidJs.LiquidError>;
    const [line] = token?.getPosition() ?? [];
    const reason = (message ?? String(error)).replace(/, line:\d+, col:\d+$/, '');
    throw new CommandError(`${name}${line === undefined ? '' : `:${line}`}: ${reason}`);
  }
}

/** Liquid would pass over the filter, and loop over the text in front of it. */
const bareLoop = /\{%-?\s*for\s+[\w-]+\s+in\s+(?!\()[^%]*\|/;
const loopExample = '{% for one in ("/a/" | entries) %}';

type Filter = (given: unknown, ...args: readonly unknown[]) => unknown;

/** The filters, each of a key or a prefix as text; docs/data-tools.md has the same list. */
function filtersOf(sight: Sight): Readonly<Record<string, Filter>> {
  const { keys } = sight;
  const found = (given: unknown) => keys.get(seen(sight, given));
  return {
    value(given, ...otherwise) {
      const value = found(given);
      if (value !== undefined) return textOf(value, String(given));
      if (otherwise.length > 0) return otherwise[0];
      throw new Error(`there is no key ${String(given)}`);
    },
    value_base64(given) {
      const value = found(given);
      if (value === undefined) throw new Error(`there is no key ${String(given)}`);
      return value.toString('base64');
    },
    exists: (given) => found(given) !== undefined,
    entries(given) {
      const prefix = seen(sight, given);
      return keys.below(prefix).map((key) => new Entry(keys, key, prefix));
    },
    children(given) {
      const prefix = seen(sight, given);
      const names = keys.below(prefix).map((key) => {
        const end = key.indexOf('/', prefix.length);
        return key.slice(prefix.length, end < 0 ? undefined : end);
      });
      return [...new Set(names)].filter((name) => name !== '').map(nameOf);
    },
    parse_json(given) {
      try {
        return JSON.parse(String(given));
      } catch (error) {
        throw new Error(`no JSON: ${error instanceof Error ? error.message : String(error)}`);
      }
    },
    base: (given) => String(given).replace(/\/+$/, '').split('/').pop() ?? '',
    dir: (given) =>
      String(given)
        .replace(/\/+$/, '')
        .replace(/[^/]*$/, ''),
  };
}

/** A key in a loop. `value` is looked at only if it is asked for: it need not be a text. */
class Entry {
  readonly key: string;
  /** Without the prefix. */
  readonly name: string;

  constructor(keys: Keys, key: KeyString, prefix: KeyString) {
    this.key = nameOf(key);
    this.name = nameOf(key.slice(prefix.length));
    // Templates see own properties only.
    Object.defineProperty(this, 'value', {
      get: () => textOf(keys.get(key) ?? Buffer.alloc(0), this.key),
    });
  }
}

function nameOf(key: KeyString): string {
  return keyToBytes(key).toString('utf8');
}

function textOf(value: Buffer, key: string): string {
  if (isUtf8(value)) return value.toString('utf8');
  throw new Error(`the value of ${key} is no text; value_base64 gives its bytes`);
}

/** The key of a text. Throws for one that nobody asked the cluster for. */
function seen({ prefixes }: Sight, given: unknown): KeyString {
  const key = keyOf(String(given));
  if (prefixes.some((prefix) => key.startsWith(prefix))) return key;
  throw new Error(`${String(given)} is not below a --prefix`);
}
