/** What ranges and the options of reads must be. */

import { callShape } from '../call/index.js';
import { invalidOption } from '../errors.js';
import {
  type Check,
  checkOptions,
  described,
  didYouMean,
  flag,
  oneOf,
  type Shape,
  wholeNumber,
} from '../strict/index.js';
import type { KeyRange, RangeOptions, ReadOptions, ScanOptions, Sort } from './types.js';

const revision = wholeNumber(1);
const bound = wholeNumber(0);

export const readShape: Shape<ReadOptions> = { ...callShape, revision, serializable: flag };

const sortShape = {
  by: oneOf('key', 'version', 'createRevision', 'modRevision', 'value'),
  order: oneOf('ascending', 'descending'),
} as const satisfies Shape<Sort>;

const sort: Check = (value) => {
  if (typeof value !== 'object' || value === null) return '{ by, order }';
  checkOptions('sort', value, sortShape);
  const { by, order } = value as Partial<Sort>;
  return by === undefined || order === undefined ? '{ by, order }, both of them' : undefined;
};

export const rangeShape: Shape<RangeOptions> = {
  ...readShape,
  limit: wholeNumber(1),
  sort,
  keysOnly: flag,
  modRevisionMin: bound,
  modRevisionMax: bound,
  createRevisionMin: bound,
  createRevisionMax: bound,
};

export const scanShape: Shape<ScanOptions> = {
  ...readShape,
  pageSize: wholeNumber(1),
  keysOnly: flag,
};

const ways: readonly string[] = ['key', 'prefix', 'from', 'to', 'all'];
const forms = '{ key }, { prefix }, { from, to }, { from } or { all: true }';

/** Throws INVALID_OPTION unless it says in one way which keys. */
export function checkRange(range: KeyRange): void {
  const given: unknown = range;
  if (typeof given !== 'object' || given === null || given instanceof Uint8Array) {
    throw noRange(given);
  }
  const fields = given as Readonly<Record<string, unknown>>;
  const names = Object.keys(fields);
  for (const name of names) if (!ways.includes(name)) throw unknownWay(name);
  const said = names.filter((name) => fields[name] !== undefined);
  if (said.length === 0) {
    const [name] = names;
    const hint = name === undefined ? '' : `; ${name} is undefined`;
    throw invalidOption(`a range needs one of key, prefix, from, or all${hint}`);
  }
  const fromTo = said.length === 2 && said.includes('from') && said.includes('to');
  if (said.length > 1 && !fromTo) {
    throw invalidOption(`a range is one of ${forms}, not ${said.join(' and ')} at once`);
  }
  if (said[0] === 'to' && !fromTo) throw invalidOption('a range with `to` needs `from`, too');
  if (said[0] === 'all' && fields.all !== true) {
    throw invalidOption(`all must be true, not ${described(fields.all)}`);
  }
}

function noRange(given: unknown) {
  if (typeof given !== 'string') {
    return invalidOption(`a range is ${forms}, not ${described(given)}`);
  }
  const text = described(given);
  return invalidOption(
    `a range is ${forms}, not text; did you mean { key: ${text} } or { prefix: ${text} }?`,
  );
}

function unknownWay(name: string) {
  const meant = didYouMean(name, ways);
  const hint = meant === undefined ? '' : `; did you mean ${JSON.stringify(meant)}?`;
  return invalidOption(`a range is ${forms}; it has no ${JSON.stringify(name)}${hint}`);
}
