/**
 * How an example is run: as a program (`node dist/examples/client/kv.js [endpoint]`), or by a test,
 * which gives it an endpoint and collects what it prints.
 *
 * In a program of your own the imports are from 'kvorum/client'.
 */

import { pathToFileURL } from 'node:url';

/** An example: what it is to connect to, and where its lines go. */
export type Example = (endpoint: string, print: (line: string) => void) => Promise<void>;

/** Runs the example if its file is the program. */
export function runIfMain(url: string, example: Example): void {
  const file = process.argv[1];
  if (file === undefined || url !== pathToFileURL(file).href) return;
  example(
    process.argv[2] ?? '127.0.0.1:2379',
    (line) => void process.stdout.write(`${line}\n`),
  ).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : error}\n`);
    process.exitCode = 1;
  });
}
