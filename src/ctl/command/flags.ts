/**
 * The flags of a command, declared once: name, kind and default give the parser, the help and the
 * types. Their syntax is that of Go's pflag, which etcdctl has (parse.ts).
 */

/** How the text of a flag is read. Durations are in milliseconds here, `1m30s` on the line. */
export type FlagKind = keyof FlagValues;

interface FlagValues {
  bool: boolean;
  string: string;
  /** Given several times, or separated by commas as in CSV. */
  strings: readonly string[];
  /** A signed number of 64 bits, decimal, or with 0x, 0o, 0b in front. */
  int64: bigint;
  uint64: bigint;
  /** A signed number that fits into what JavaScript counts exactly. */
  int: number;
  duration: number;
}

export interface Flag<Kind extends FlagKind = FlagKind> {
  readonly kind: Kind;
  readonly byDefault: FlagValues[Kind];
  /** One line for the help. */
  readonly help: string;
  /** One letter: `-w`. */
  readonly short?: string;
  /** A string flag without `=value` means this. */
  readonly alone?: string;
  /** Works, but is not shown. */
  readonly hidden?: boolean;
}

export type Flags = Readonly<Record<string, Flag>>;

/** What a line has set, by the names of the declaration: `{ 'keys-only': true, rev: 3n }`. */
export type ValuesOf<Declared extends Flags> = {
  readonly [Name in keyof Declared]: FlagValues[Declared[Name]['kind']];
};

type More = Pick<Flag, 'short' | 'alone' | 'hidden'>;

function declare<Kind extends FlagKind>(kind: Kind) {
  return (byDefault: FlagValues[Kind], help: string, more: More = {}): Flag<Kind> => ({
    ...{ kind, byDefault, help },
    ...more,
  });
}

/** `flag.bool(false, 'get keys with matching prefix')` */
export const flag = {
  bool: declare('bool'),
  string: declare('string'),
  strings: declare('strings'),
  int64: declare('int64'),
  uint64: declare('uint64'),
  int: declare('int'),
  duration: declare('duration'),
} as const;
