/**
 * Scalars of YAML as Go's reader (which etcd has) takes them: that of YAML 1.1, but with Go's
 * numbers. `yes`, `on`, `y` are true; 010, 0o10, 0x8 and 0b1000 are eight; 1_000 is a thousand; a
 * date is a text, and so is 1:30.
 */

/** What the library calls a ScalarTag, as far as it is needed here. */
export interface GoScalar {
  readonly tag: string;
  /** What is written without a tag is tried. */
  readonly default: boolean;
  readonly test?: RegExp;
  resolve(text: string): unknown;
}

const yamlFloat = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const goInteger = /^[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)$/;

/** Of the longest whole number that can be told exactly, with room for its base and zeros. */
const digitsMax = 100;

/** What is added to texts, maps and lists. */
export const goScalars: readonly GoScalar[] = [
  scalar('null', /^(?:~|null|Null|NULL)?$/, () => null),
  scalar('bool', /^(?:y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)$/, () => true),
  scalar('bool', /^(?:n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$/, () => false),
  scalar('int', /^[-+]?[0-9][0-9a-fA-FxXoObB_]*$/, numberOf),
  scalar('float', /^[-+.]?[0-9_][0-9_.eE+-]*$/, numberOf),
  scalar('float', /^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$/, () => Number.NaN),
  {
    tag: 'tag:yaml.org,2002:binary',
    default: false,
    resolve: (text: string) => Buffer.from(text, 'base64').toString('utf8'),
  },
];

function scalar(name: string, test: RegExp, resolve: (text: string) => unknown): GoScalar {
  return { tag: `tag:yaml.org,2002:${name}`, default: true, test, resolve };
}

/** What looks like a number and is none stays a text; a whole one that is too long, too. */
function numberOf(text: string): number | string {
  const plain = text.replaceAll('_', '');
  if (plain.length <= digitsMax && goInteger.test(plain)) {
    const digits = plain.replace(/^[-+]/, '').replace(/^0(?=[0-9])/, '0o');
    const value = Number(BigInt(digits)) * (plain.startsWith('-') ? -1 : 1);
    return Number.isSafeInteger(value) ? value : plain;
  }
  return yamlFloat.test(plain) ? Number(plain) : text;
}
