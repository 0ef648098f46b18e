/** What an answer is to the printers: the message as it came, and how each format shows it. */

/** A table, before it is drawn. */
export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Text, or bytes where keys and values stand in it. */
export type Output = string | Uint8Array;

/** An answer to print. */
export interface Shown {
  /** The full name of the message: `etcdserverpb.PutResponse`. */
  readonly type: string;
  /** The message; for the formats that show it whole. */
  readonly bytes: Uint8Array;
  /** `--write-out=simple`, with its line ends. */
  simple(): Output;
  /** On a terminal, for people, with what paints it; instead of `simple`. */
  pretty?(paint: Paint): Output;
  /** Not there: the command has no table. */
  table?(): Table;
  /** Where etcdctl's JSON is not that of the message; what `goJson` takes. */
  json?(): unknown;
  /** Likewise, with its line ends. Not there: the header and nothing else, as etcdctl has it. */
  fields?(): string;
  /** Likewise. */
  protobuf?(): Uint8Array;
}

/** Colours of a terminal; they do nothing if it shall have none. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  blue(text: string): string;
  cyan(text: string): string;
  magenta(text: string): string;
}
