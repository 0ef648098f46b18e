/**
 * What one command-line flag is. The table (flags-table.ts) is data: parsing, --help,
 * docs/configuration.md and the start-up warnings are all derived from it.
 */

/** Sections of --help, in the order in which they are printed. */
export const flagGroups = [
  'member',
  'clustering',
  'security',
  'auth',
  'monitoring',
  'backup',
  'logging',
  'features',
  'unsafe',
  'ignored',
] as const;
export type FlagGroup = (typeof flagGroups)[number];

/**
 * How the text of a flag is read.
 *  - `bool` needs no value on the command line; `int` is Go's strconv syntax (0x10, 1_000)
 *  - `duration` is Go's ("1h30m"); in a config file also integer nanoseconds
 *  - `urls`, `texts` are comma lists, in a config file also YAML lists
 *  - `noop` swallows anything: etcd ignores the flag too
 */
export type FlagKind =
  | 'text'
  | 'path'
  | 'bool'
  | 'int'
  | 'duration'
  | 'urls'
  | 'texts'
  | 'choice'
  | 'noop';

/**
 *  - `implemented`: does what etcd's flag does, or is kvorum's own
 *  - `accepted`: checked but without effect yet; setting it logs a warning
 *  - `refused`: not there, and a start without it would be less safe than what was asked for, or
 *    not what was asked for at all
 *  - `ignored`: etcd ignores it as well, or it tunes a part (bbolt, Go) that kvorum has no use for
 */
export type FlagStatus = 'implemented' | 'accepted' | 'refused' | 'ignored';

/** One row of the flag table. */
export interface FlagSpec {
  /** Without dashes. */
  readonly name: string;
  readonly kind: FlagKind;
  /** As one would type it; '' is "not set". */
  readonly default: string;
  readonly group: FlagGroup;
  readonly status: FlagStatus;
  /** One line for people. */
  readonly help: string;
  /** Bounds of an `int`, or of a `duration` in milliseconds; inclusive. */
  readonly min: number;
  readonly max: number;
  /** Values of a `choice`. */
  readonly choices: readonly string[];
  /** The case of a choice does not matter; the value is in small letters. */
  readonly anyCase: boolean;
  /** What is not as in etcd, for docs/configuration.md; '' if all is. */
  readonly differs: string;
  /** For one that is refused: what to do instead; '' if nothing replaces it. */
  readonly instead: string;
  /** Its value must not be shown. */
  readonly secret: boolean;
}

/** Bounds and choices of a row; left out, an int is any Go int and a duration is not negative. */
export interface FlagRules {
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  readonly anyCase?: boolean;
  readonly differs?: string;
  readonly instead?: string;
  readonly secret?: boolean;
}

/** Go's int is 64 bit; we hold what a number holds exactly. */
const intMax = Number.MAX_SAFE_INTEGER;
/** 100 years: longer is a typing error, and setTimeout-like code must not overflow. */
const durationMsMax = 100 * 365 * 24 * 3600 * 1000;

/** Rows of one group; `row(status, name, kind, default, help, rules?)`. */
export function flagGroup(
  group: FlagGroup,
  rows: ReadonlyArray<
    | readonly [FlagStatus, string, FlagKind, string, string]
    | readonly [FlagStatus, string, FlagKind, string, string, FlagRules]
  >,
): readonly FlagSpec[] {
  return rows.map(([status, name, kind, byDefault, help, rules]) => ({
    name,
    kind,
    default: byDefault,
    group,
    status,
    help,
    min: rules?.min ?? (kind === 'duration' ? 0 : -intMax),
    max: rules?.max ?? (kind === 'duration' ? durationMsMax : intMax),
    choices: rules?.choices ?? [],
    anyCase: rules?.anyCase ?? false,
    differs: rules?.differs ?? '',
    instead: rules?.instead ?? '',
    secret: rules?.secret ?? false,
  }));
}
