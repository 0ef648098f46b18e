/** What an answer takes of the memory for answers it gives back, also if it was made at once. */

import { expect, it } from 'vitest';
import {
  decodeRangeRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  type RequestOp,
} from '../../src/proto/index.js';
import { allMethods } from '../../src/server/member.js';
import { SendRoom } from '../../src/transport/send-room.js';
import { SimMachine } from '../crash/sim-node.js';
import { SimClient } from '../faults/sim.js';
import { callUnary } from '../helpers/in-process-call.js';
import { answerLimits, readingUser } from '../sim/machine.js';

it('a transaction that finds more than a megabyte in memory holds nothing afterwards', async () => {
  const client = await SimClient.start(new SimMachine(4));
  expect((await client.put('large', 'x'.repeat(150_000))).ok).toBe(true);
  const { clock } = client.machine;
  const room = new SendRoom(clock, answerLimits);
  const get = decodeRangeRequest(encodeRangeRequest({ key: 'large' }));
  const read: RequestOp = { type: 'range', request: get };
  const few = await txnOf(Array.from({ length: 8 }, () => read));
  expect(few.bytes).toBeGreaterThan(1_100_000);
  expect(room.bytes).toBe(0);
  const many = await txnOf(Array.from({ length: 20 }, () => read));
  expect(many.bytes).toBeGreaterThan(2_900_000);
  expect(room.bytes).toBe(0);

  async function txnOf(success: readonly RequestOp[]): Promise<{ readonly bytes: number }> {
    const request = encodeTxnRequest({ compare: [], success, failure: [] });
    const methods = allMethods(client.node.node);
    const memory = { room, user: readingUser() };
    const asked = callUnary(methods, '/etcdserverpb.KV/Txn', request, undefined, undefined, memory);
    const outcome = await clock.runUntil(asked);
    if (!outcome.ok) throw new Error(outcome.text);
    return { bytes: outcome.message.length };
  }
});
