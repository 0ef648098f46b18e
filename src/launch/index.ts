/** From `bin/kvorum` to the program in dist/bin. */

import { join } from 'node:path';
import { folderPlace } from './folder-place.js';
import { startFrom } from './start.js';

/** Runs the program whose files are in `dir` (dist/bin). `argv`: what comes after its name. */
export function launch(dir: string, argv: readonly string[], environment: NodeJS.ProcessEnv): void {
  startFrom(folderPlace(dir, join(dir, '../cache')), argv, environment);
}
