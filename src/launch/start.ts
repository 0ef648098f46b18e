/** Loads the program from its place, with what earlier starts compiled, and runs it. */

import { basename } from 'node:path';
import { widenOldGeneration } from './old-generation.js';
import type { Place } from './place.js';
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

/** Runs the program that is there. `argv`: what comes after its name. */
export function startFrom(
  place: Place,
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
): void {
  mapStackTraces((path) => {
    const name = basename(path);
    // What is not of the program has no map.
    return path === place.pathOf(name) ? place.read(name).toString('utf8') : '';
  });
  const program = new Program(place);
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
