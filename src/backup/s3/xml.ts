/**
 * What is needed of S3's answers: texts between tags of known names, which never contain
 * themselves. Not a parser of XML, and nothing depends on what is around them.
 */

const entities: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

/** What is inside of the first `<tag>`; '' if there is none. */
export function textOf(xml: string, tag: string): string {
  return textsOf(xml, tag)[0] ?? '';
}

/** What is inside of each `<tag>`; of those without further tags in them as it is meant. */
export function textsOf(xml: string, tag: string): string[] {
  const pattern = new RegExp(`<${tag}>(.*?)</${tag}>`, 'gs');
  return [...xml.matchAll(pattern)].map(([, inside = '']) => {
    return inside.includes('<') ? inside : unescaped(inside);
  });
}

function unescaped(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (all, hex, decimal, name) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(String(hex), 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return entities[String(name)] ?? all;
  });
}
