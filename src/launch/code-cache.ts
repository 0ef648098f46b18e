/**
 * Compiled code kept from one start to the next. V8 can put what it has compiled of a script into
 * bytes, and take it from there: the functions that a start runs through need not be compiled
 * again, which is most of the work of a start.
 *
 * The bytes lie beside the program, where only those may write who may change the program itself:
 * V8 runs them as they are. What does not belong to exactly this file, was written half, or comes
 * from another V8 is not taken. Nothing here ever fails a start.
 */

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';

/** Checksum of the program's file, checksum of what follows. */
const headBytes = 8;

/** What was kept of the file with this CRC-32; undefined: nothing that can be trusted. */
export function readCode(path: string, sum: number): Buffer | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return undefined;
  }
  return codeIn(bytes, sum);
}

/** The code in what was kept, if it belongs to the file with this CRC-32 and is whole. */
export function codeIn(bytes: Buffer, sum: number): Buffer | undefined {
  if (bytes.length <= headBytes) return undefined;
  const code = bytes.subarray(headBytes);
  if (bytes.readUInt32LE(0) !== sum) return undefined;
  return bytes.readUInt32LE(4) === crc32(code) ? code : undefined;
}

/** Keeps `code` for the file with this CRC-32. False: it can't be written there. */
export function writeCode(path: string, sum: number, code: Buffer): boolean {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32LE(sum, 0);
  head.writeUInt32LE(crc32(code), 4);
  const temporary = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    // Several members may start at once from one program.
    writeFileSync(temporary, Buffer.concat([head, code]), { mode: 0o644 });
    renameSync(temporary, path);
    return true;
  } catch {
    removeQuietly(temporary);
    return false;
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // As with the rest: it can't be helped.
  }
}
