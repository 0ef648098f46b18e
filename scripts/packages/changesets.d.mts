/** Types of changesets.mjs, for its test. */

export function withSentences(
  section: string,
  sentences: ReadonlyMap<string, readonly string[]>,
): string;
