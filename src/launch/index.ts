/** From `bin/kvorum` to the program in dist/bin: loads it, with what earlier starts compiled. */

import { join } from 'node:path';
import { widenOldGeneration } from './old-generation.js';
import { Program } from './program.js';
import { mapStackTraces } from './stack-traces.js';
import { boundYoungGeneration } from './young-generation.js';

/** What the program exports to whoever launches it: src/cli/kvorum.ts. */
interface Exports {
  run(argv: readonly string[], environment: NodeJS.ProcessEnv, code: CompiledCode): void;
}

/** As src/cli/kvorum.ts has it. */
interface CompiledCode {
  readonly isKept: boolean;
  keep(): boolean;
}

/** Runs the program whose files are in `dir` (dist/bin). `argv`: what comes after its name. */
export function launch(dir: string, argv: readonly string[], environment: NodeJS.ProcessEnv): void {
  mapStackTraces();
  const program = new Program(dir, join(dir, '../cache'));
  const { run } = program.load('kvorum.cjs') as unknown as Exports;
  const { isKept } = program;
  run(argv, environment, {
    isKept,
    keep() {
      const isWritten = program.keepCode();
      // Not before: V8 takes kept code only with the flags that it was kept with.
      const options = [...process.execArgv, environment.NODE_OPTIONS ?? ''];
      boundYoungGeneration(options);
      widenOldGeneration(options);
      return isWritten;
    },
  });
}
