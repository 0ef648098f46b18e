/**
 * Lines that wait to be written, as bytes in chunks outside of the heap: as strings they would live
 * just long enough for the collector to copy each of them.
 */

import { auditWriteBytes } from '../../common/index.js';

export class LineChunks {
  /** Full, the oldest first. */
  #full: Buffer[] = [];
  #current: Buffer = Buffer.allocUnsafeSlow(auditWriteBytes);
  #at = 0;
  #bytes = 0;
  /** Handed out, and not written yet. */
  #taken: Buffer | undefined;

  get bytes(): number {
    return this.#bytes;
  }

  add(line: string): void {
    // As few as characters, as many as three for each.
    if (this.#at + 3 * line.length > this.#current.length) {
      const length = Buffer.byteLength(line);
      if (this.#at + length > this.#current.length) this.#turnOver(length);
    }
    const length = this.#current.write(line, this.#at);
    this.#at += length;
    this.#bytes += length;
  }

  /** The oldest; the same until `written`. Undefined: there is nothing. */
  first(): Buffer | undefined {
    if (this.#taken !== undefined) return this.#taken;
    if (this.#full.length === 0 && this.#at > 0) this.#turnOver(0);
    this.#taken = this.#full.shift();
    return this.#taken;
  }

  /** What `first` gave is in the file. */
  written(): void {
    this.#bytes -= this.#taken?.length ?? 0;
    this.#taken = undefined;
  }

  /** A new chunk, with room for so much. */
  #turnOver(length: number): void {
    if (this.#at > 0) this.#full.push(this.#current.subarray(0, this.#at));
    const left = this.#current.length - this.#at;
    // What is hardly used goes on, behind what was handed out.
    this.#current =
      length <= left && left > auditWriteBytes / 2
        ? this.#current.subarray(this.#at)
        : Buffer.allocUnsafeSlow(Math.max(auditWriteBytes, length));
    this.#at = 0;
  }
}
