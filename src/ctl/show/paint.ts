/** Colours, or none: what is printed for scripts is the same text without them. */

const codes = { bad: 31, good: 32, doubtful: 33, head: 1, dim: 2 } as const;

/** What a text means, not which colour it has. */
export type Meaning = keyof typeof codes;

export type Paint = (meaning: Meaning, text: string) => string;

/** Plain text if nobody looks. */
export function painter(hasColours: boolean): Paint {
  if (!hasColours) return (_meaning, text) => text;
  return (meaning, text) => `\u001b[${codes[meaning]}m${text}\u001b[0m`;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const colour = /\u001b\[\d+m/g;

/** So many columns of the terminal. */
export function widthOf(text: string): number {
  return text.replace(colour, '').length;
}

/** What a key or a message holds may move the cursor: it is shown instead. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => {
    return `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}
