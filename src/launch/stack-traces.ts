/**
 * Stack traces of the bundle in terms of its TypeScript. Node can do so as well, but then reads all
 * source maps at each start and keeps them: here a map is read when a trace first needs it.
 */

import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';

/** From now on for all errors whose stack is looked at. `read`: the text of a file, by its path. */
export function mapStackTraces(read: (path: string) => string): void {
  const maps = new Map<string, SourceMap | undefined>();
  const mapOf = (url: string): SourceMap | undefined => {
    if (!maps.has(url)) maps.set(url, readMap(url, read));
    return maps.get(url);
  };
  Error.prepareStackTrace = (error, sites) => {
    const lines = sites.map((site) => `\n    at ${described(site, mapOf)}`);
    return `${headOf(error)}${lines.join('')}`;
  };
}

function described(site: NodeJS.CallSite, mapOf: (url: string) => SourceMap | undefined): string {
  const plain = String(site);
  const url = site.getFileName();
  const [line, column] = [site.getLineNumber(), site.getColumnNumber()];
  if (url == null || !url.startsWith('file:') || line === null || column === null) return plain;
  const entry = mapOf(url)?.findEntry(line - 1, column - 1);
  if (entry === undefined || !('originalSource' in entry)) return plain;
  const source = fileURLToPath(new URL(entry.originalSource, url));
  const place = `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  return plain.replace(`${url}:${line}:${column}`, () => place);
}

function headOf(error: Error): string {
  try {
    return Error.prototype.toString.call(error);
  } catch {
    return 'Error';
  }
}

function readMap(url: string, read: (path: string) => string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(read(`${fileURLToPath(url)}.map`)));
  } catch {
    return undefined;
  }
}
