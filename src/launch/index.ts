/** From `bin/kvorum` to the program in dist/bin. */

import { join } from 'node:path';
import { argumentsOf } from './called.js';
import { folderPlace } from './folder-place.js';
import { startFrom } from './start.js';

/** Runs the program whose files are in `dir` (dist/bin). `argv`: its name, and what comes after. */
export function launch(
  dir: string,
  [name = '', ...after]: readonly string[],
  environment: NodeJS.ProcessEnv,
): void {
  startFrom(folderPlace(dir, join(dir, '../cache')), argumentsOf(name, after), environment);
}
