/**
 * Native code that is in memory, and has to be a file for the moment in which the system loads it.
 *
 * The file is made anew for each start, in a folder that is made for it and that only this user may
 * enter, and is removed as soon as it is loaded: nobody else can put another one there, and nothing
 * is left behind.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';

/**
 * Loads what `bytes` are, by way of the first of `folders` that can be written and whose files may
 * be run. Throws if there is none.
 */
export function loadNative(name: string, bytes: Uint8Array, folders: readonly string[]): unknown {
  const whys: string[] = [];
  for (const folder of folders) {
    try {
      return loadBy(folder, name, bytes);
    } catch (error) {
      whys.push(`${folder}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(
    `kvorum found no folder to load ${name} from; TMPDIR names another.\n${whys.join('\n')}`,
  );
}

function loadBy(folder: string, name: string, bytes: Uint8Array): unknown {
  // mkdtemp makes it with mode 0700.
  const dir = mkdtempSync(join(folder, 'kvorum-'));
  try {
    const path = join(dir, `${name}.node`);
    writeFileSync(path, bytes, { flag: 'wx', mode: 0o500 });
    const module = { exports: {} };
    process.dlopen(module, path, constants.dlopen.RTLD_LAZY);
    return module.exports;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
