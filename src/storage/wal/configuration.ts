/**
 * A Raft configuration as bytes, for the snapshot marks of the write-ahead log:
 * four counts u32, autoLeave u32, 0 u32, then the ids u64 in the order of the fields.
 */

import type { MemberId } from '../../common/index.js';
import type { Configuration } from '../../raft/index.js';

const headBytes = 24;

/** The bytes of `configuration`, in a new buffer. */
export function encodeConfiguration(configuration: Configuration): Buffer {
  const { voters, votersOutgoing, learners, learnersNext } = configuration;
  const groups = [voters, votersOutgoing, learners, learnersNext];
  const ids = groups.flat();
  const result = Buffer.alloc(headBytes + 8 * ids.length);
  for (const [i, group] of groups.entries()) result.writeUInt32LE(group.length, 4 * i);
  result.writeUInt32LE(configuration.autoLeave ? 1 : 0, 16);
  for (const [i, id] of ids.entries()) result.writeBigUInt64LE(id, headBytes + 8 * i);
  return result;
}

/** Undefined if `bytes` are not what {@link encodeConfiguration} makes. */
export function decodeConfiguration(bytes: Buffer): Configuration | undefined {
  if (bytes.length < headBytes) return undefined;
  let at = headBytes;
  const groups: MemberId[][] = [];
  for (let i = 0; i < 4; i++) {
    const count = bytes.readUInt32LE(4 * i);
    if (at + 8 * count > bytes.length) return undefined;
    const group: MemberId[] = [];
    for (let k = 0; k < count; k++, at += 8) group.push(bytes.readBigUInt64LE(at));
    groups.push(group);
  }
  if (at !== bytes.length) return undefined;
  const [voters = [], votersOutgoing = [], learners = [], learnersNext = []] = groups;
  const autoLeave = bytes.readUInt32LE(16) !== 0;
  return { voters, votersOutgoing, learners, learnersNext, autoLeave };
}
