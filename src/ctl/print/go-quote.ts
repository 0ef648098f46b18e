/** Text as Go's %q writes it: what can be printed as it is, the rest as escapes. */

const named: ReadonlyMap<number, string> = new Map([
  [0x07, '\\a'],
  [0x08, '\\b'],
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0b, '\\v'],
  [0x0c, '\\f'],
  [0x0d, '\\r'],
  [0x22, '\\"'],
  [0x5c, '\\\\'],
]);

/** What Go's unicode.IsPrint takes for a character that can be seen. */
const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** `bytes` as %q writes a string of them; what is no UTF-8 becomes `\xNN`. */
export function goQuotedBytes(bytes: Uint8Array): string {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = '"';
  for (let at = 0; at < source.length; ) {
    const length = characterBytes(source, at);
    if (length === 0) {
      text += `\\x${(source[at] as number).toString(16).padStart(2, '0')}`;
      at += 1;
      continue;
    }
    text += escaped(source.toString('utf8', at, at + length));
    at += length;
  }
  return `${text}"`;
}

function escaped(character: string): string {
  const code = character.codePointAt(0) as number;
  const known = named.get(code);
  if (known !== undefined) return known;
  if (printable.test(character)) return character;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}

/** How many bytes the character at `at` has; 0: there is none. */
function characterBytes(source: Buffer, at: number): number {
  const first = source[at] as number;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + length > source.length) return 0;
  // The decoder knows which of the others are none: then it gives more than one character.
  const character = source.toString('utf8', at, at + length);
  return [...character].length === 1 && character !== '\ufffd' ? length : replacement(source, at);
}

/** The character that stands for bytes that are none may itself be there. */
function replacement(source: Buffer, at: number): number {
  return source.toString('latin1', at, at + 3) === '\u00ef\u00bf\u00bd' ? 3 : 0;
}
