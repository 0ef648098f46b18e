/** The program of an installed package: files in a folder, packages and Node beside them. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { readCode, writeCode } from './code-cache.js';
import type { Place } from './place.js';

/** Its files are in `dir`; compiled code is kept in `cacheDir`, if that can be written. */
export function folderPlace(dir: string, cacheDir: string): Place {
  const require = createRequire(join(dir, 'program.cjs'));
  // Other versions of Node may use the same program, in turn.
  const { arch, version } = process;
  const cachePath = (name: string) => join(cacheDir, `${name}.${version}-${arch}`);
  return {
    read: (name) => readFileSync(join(dir, name)),
    readCode: (name, sum) => readCode(cachePath(name), sum),
    writeCode: (name, sum, code) => writeCode(cachePath(name), sum, code),
    require: (name) => require(name) as unknown,
    pathOf: (name) => join(dir, name),
  };
}
