/**
 * The bytes of a 'configChange' entry (paper 6, thesis 4.1 and 4.3). They live in the log for good
 * and are read by other versions, hence the version byte first. Integers are big-endian.
 *
 *   u8 version = 1 | u8 transition | u16 number of steps | steps: u8 type, u64 member | context
 */

import { assert, InvariantError } from '../common/index.js';
import type { ConfigChange, ConfigChangeStep } from './types.js';

const version = 1;
const headBytes = 4;
const stepBytes = 9;
const transitions = ['auto', 'jointImplicit', 'jointExplicit'] as const;
const stepTypes = ['addVoter', 'addLearner', 'remove'] as const;

/** A new buffer; `change.context` is copied. */
export function encodeConfigChange(change: ConfigChange): Uint8Array {
  const { steps, transition, context } = change;
  assert(steps.length <= 0xffff, 'a configuration change has at most 65535 steps');
  const contextStart = headBytes + steps.length * stepBytes;
  const bytes = new Uint8Array(contextStart + context.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, version);
  view.setUint8(1, transitions.indexOf(transition));
  view.setUint16(2, steps.length);
  let at = headBytes;
  for (const step of steps) {
    view.setUint8(at, stepTypes.indexOf(step.type));
    view.setBigUint64(at + 1, step.member);
    at += stepBytes;
  }
  bytes.set(context, contextStart);
  return bytes;
}

/** Undefined if the bytes are not a change of a known version. `context` borrows from `bytes`. */
export function parseConfigChange(bytes: Uint8Array): ConfigChange | undefined {
  if (bytes.byteLength < headBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const transition = transitions[view.getUint8(1)];
  const stepCount = view.getUint16(2);
  const contextStart = headBytes + stepCount * stepBytes;
  if (view.getUint8(0) !== version || transition === undefined) return undefined;
  if (contextStart > bytes.byteLength) return undefined;
  const steps: ConfigChangeStep[] = [];
  for (let at = headBytes; at < contextStart; at += stepBytes) {
    const type = stepTypes[view.getUint8(at)];
    if (type === undefined) return undefined;
    steps.push({ type, member: view.getBigUint64(at + 1) });
  }
  return { steps, transition, context: bytes.subarray(contextStart) };
}

/**
 * The change in a committed entry; throws InvariantError if it can't be read, for a member that
 * can't apply what the others apply must not go on. `context` borrows from `bytes`.
 */
export function decodeConfigChange(bytes: Uint8Array): ConfigChange {
  const change = parseConfigChange(bytes);
  if (change === undefined) throw new InvariantError('a configuration change is unreadable');
  return change;
}
