/**
 * Where the single executable starts (scripts/binary.mjs): the program is among its assets, and
 * with it the native code and what V8 compiled of it when it was built.
 *
 * While it is built, Node runs this as a script, with a folder of the same files beside it, for the
 * compiled code: V8 takes that from the very same Node only.
 */

import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRawAsset, isSea } from 'node:sea';
import { argumentsOf } from './called.js';
import { codeIn, readCode, writeCode } from './code-cache.js';
import { loadNative } from './native-code.js';
import type { Place } from './place.js';
import { startFrom } from './start.js';

/** What the program asks for by these names is not a file of it. */
const nativePrefix = 'kvorum:native/';
const socketThread = 'kvorum:socket-thread';

/** There is no such folder: it is what stack traces say. */
const shownDir = '/kvorum/dist/bin';

/** `code/x` is what V8 compiled of `x`. */
const codeOf = (name: string): string => `code/${name}`;

function singlePlace(asset: (name: string) => Buffer, folders: readonly string[]): Place {
  return {
    read: asset,
    readCode(name, sum) {
      try {
        return codeIn(asset(codeOf(name)), sum);
      } catch {
        return undefined; // none was kept of this part
      }
    },
    writeCode: () => false,
    require(name) {
      if (name.startsWith(nativePrefix)) {
        const file = name.slice(nativePrefix.length);
        return loadNative(file, asset(`${file}.node`), folders);
      }
      // A thread reads its program from an address.
      if (name === socketThread) {
        const program = asset('socket-thread.js').toString('base64');
        return new URL(`data:text/javascript;base64,${program}`);
      }
      if (isBuiltin(name)) return process.getBuiltinModule(name);
      throw Object.assign(new Error(`Cannot find module '${name}'`), { code: 'MODULE_NOT_FOUND' });
    },
    pathOf: (name) => join(shownDir, name),
  };
}

/** As the executable has it, from the folder that it is built from. */
function buildPlace(dir: string, folders: readonly string[]): Place {
  return {
    ...singlePlace((name) => readFileSync(join(dir, name)), folders),
    readCode: (name, sum) => readCode(join(dir, codeOf(name)), sum),
    writeCode: (name, sum, code) => writeCode(join(dir, codeOf(name)), sum, code),
  };
}

/** The bytes lie in the executable: nothing is copied, and nothing may write to them. */
function ownAsset(name: string): Buffer {
  return Buffer.from(getRawAsset(name) as ArrayBuffer);
}

function main(argv: readonly string[], environment: NodeJS.ProcessEnv): void {
  // Not every folder for temporary files is one whose files may be run.
  const { RUNTIME_DIRECTORY: ofUnit, XDG_RUNTIME_DIR: ofUser } = environment;
  const others = [ofUnit, ofUser, '/var/tmp', '/dev/shm'].filter((dir) => dir !== undefined);
  const folders = [...new Set([tmpdir(), ...others])];
  const place = isSea() ? singlePlace(ownAsset, folders) : buildPlace(__dirname, folders);
  // The first of argv is the real path; this is what it was called.
  startFrom(place, argumentsOf(process.argv0, argv), environment);
}

main(process.argv.slice(2), process.env);
