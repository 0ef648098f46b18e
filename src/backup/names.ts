/**
 * Names in a backup's folder (docs/adr/0017-backups.md): each says what it is, which number it has
 * in its chain, when it was begun and by whom, so that a listing shows what is whole and what was
 * left behind.
 */

import type { Random } from '../common/index.js';

/** Eight hexadecimal digits: who writes. Leftovers of its own name a writer removes at once. */
export type WriterName = string;

/** The command, which nobody else runs at the same time. */
export const commandWriter: WriterName = '00000000';

/** What the name of an object says. */
export interface ObjectName {
  readonly chain: string;
  readonly kind: 'full' | 'changes' | 'manifest';
  /** Within the chain; that of the full snapshot is 0. */
  readonly number: number;
  readonly startedMs: number;
  readonly writer: WriterName;
}

const chainPattern = /^(\d{8}T\d{6}Z)-[0-9a-f]{8}$/;
const namePattern = /^(full|changes|manifest)-(\d{6})-(\d{8}T\d{6}Z)-([0-9a-f]{8})\.(?:kvb|json)$/;

/** True if `folder` is the name of a backup's. */
export function isChain(folder: string): boolean {
  return chainPattern.test(folder);
}

/** A folder for a backup that begins now. */
export function newChain(wallMs: number, random: Random): string {
  return `${utcText(wallMs)}-${hex8(random.u32())}`;
}

/** The object's name with its folder. */
export function objectName({ chain, kind, number, startedMs, writer }: ObjectName): string {
  const extension = kind === 'manifest' ? 'json' : 'kvb';
  const digits = String(number).padStart(6, '0');
  return `${chain}/${kind}-${digits}-${utcText(startedMs)}-${writer}.${extension}`;
}

/** Undefined: it is none of ours. */
export function parseObjectName(name: string): ObjectName | undefined {
  const [chain = '', file = '', ...more] = name.split('/');
  const match = namePattern.exec(file);
  if (!isChain(chain) || match === null || more.length > 0) return undefined;
  const [, kind = '', number = '', time = '', writer = ''] = match;
  return {
    chain,
    kind: kind as ObjectName['kind'],
    number: Number(number),
    startedMs: parseUtc(time),
    writer,
  };
}

/** Eight hexadecimal digits of a number below 2^32. */
export function hex8(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/** `20261201T020000Z`. */
export function utcText(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/[-:]|\.\d+/g, '');
}

function parseUtc(text: string): number {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}
