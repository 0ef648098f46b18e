/**
 * Names of log files that were put aside, as etcd gives them:
 * `kvorum-2026-11-30T12-00-00.000.log` beside `kvorum.log`.
 */

import { basename, extname } from 'node:path';

/** A file that was put aside. */
export interface RotatedFile {
  readonly name: string;
  readonly timeMs: number;
  readonly isCompressed: boolean;
}

const compressedEnd = '.gz';

/** Of the log at `path`. */
export class RotatedNames {
  readonly #head: string;
  readonly #end: string;
  readonly #localTime: boolean;

  /** `localTime`: the times in names are local ones, else UTC. */
  constructor(path: string, localTime: boolean) {
    this.#end = extname(path);
    this.#head = `${basename(path, this.#end)}-`;
    this.#localTime = localTime;
  }

  /** For one that is put aside at `timeMs` of the wall clock. */
  at(timeMs: number): string {
    const shiftMs = this.#localTime ? new Date(timeMs).getTimezoneOffset() * 60_000 : 0;
    const stamp = new Date(timeMs - shiftMs).toISOString().slice(0, -1).replaceAll(':', '-');
    return `${this.#head}${stamp}${this.#end}`;
  }

  /** Those among `names`, the newest first. */
  among(names: readonly string[]): RotatedFile[] {
    const found = names.flatMap((name) => this.#parse(name) ?? []);
    return found.sort((a, b) => b.timeMs - a.timeMs);
  }

  #parse(name: string): RotatedFile | undefined {
    const isCompressed = name.endsWith(this.#end + compressedEnd);
    const end = isCompressed ? this.#end + compressedEnd : this.#end;
    if (!name.startsWith(this.#head) || !name.endsWith(end)) return undefined;
    const stamp = name.slice(this.#head.length, name.length - end.length);
    const match = /^(\d{4}-\d\d-\d\dT)(\d\d)-(\d\d)-(\d\d\.\d{3})$/.exec(stamp);
    if (match === null) return undefined;
    const [, day, hour, minute, second] = match;
    const zone = this.#localTime ? '' : 'Z';
    const timeMs = Date.parse(`${day}${hour}:${minute}:${second}${zone}`);
    return Number.isNaN(timeMs) ? undefined : { name, timeMs, isCompressed };
  }
}
