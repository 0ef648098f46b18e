/**
 * Where the files of a program are, and what it finds outside of them: a folder of an installed
 * package, or the single executable that holds all of it.
 */

/** What Program needs to know of the world. */
export interface Place {
  /** The bytes of a file of the program. Throws if it is not there. */
  read(name: string): Buffer;
  /** What was kept of the file with this CRC-32; undefined: nothing that can be trusted. */
  readCode(name: string, sum: number): Buffer | undefined;
  /** Keeps compiled code for the next start. False: it can't be kept here. */
  writeCode(name: string, sum: number, code: Buffer): boolean;
  /** What the program asks for that is none of its files. Throws if it is not there. */
  require(name: string): unknown;
  /** The path that stack traces name the file by. */
  pathOf(name: string): string;
}
