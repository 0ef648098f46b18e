/** From `bin/kvorum` to the program in dist/bin: loads it, with what earlier starts compiled. */

import { join } from 'node:path';
import { Program } from './program.js';
import { mapStackTraces } from './stack-traces.js';

/** What the program exports to whoever launches it: src/cli/kvorum.ts. */
interface Exports {
  run(argv: readonly string[], environment: NodeJS.ProcessEnv, keepCode: () => void): void;
}

/** Runs the program whose files are in `dir` (dist/bin) with this process's arguments. */
export function launch(dir: string): void {
  mapStackTraces();
  const program = new Program(dir, join(dir, '../cache'));
  const { run } = program.load('kvorum.cjs') as unknown as Exports;
  run(process.argv.slice(2), process.env, () => void program.keepCode());
}
