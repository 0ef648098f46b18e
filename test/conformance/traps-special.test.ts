/**
 * The traps of docs/contract.md (C-0) that need a server in a special state: without a quorum, or
 * with auth switched on.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { bytes, failureOf, RawClient } from '../helpers/grpc.js';
import { type ServerProcess, startCluster, useTarget } from '../helpers/server.js';
import { targetKind, targetTool } from '../helpers/target.js';
import { describeWith } from '../helpers/tools.js';
import { createWatch } from '../helpers/watching.js';

describeWith([targetTool], 'traps without a quorum', () => {
  const single = useTarget();
  let members: readonly ServerProcess[] = [];
  let client: RawClient;
  beforeAll(() => {
    client = new RawClient(single());
  });
  beforeAll(async () => {
    client.close();
    members = await startCluster(targetKind, 3);
    const [first, ...others] = members;
    if (first === undefined) throw new Error('no member');
    client = new RawClient(first);
    await eventually(() => client.put({ key: bytes('q'), value: bytes('1') }), 'a first write');
    await Promise.all(others.map((member) => member.kill()));
  });
  afterAll(async () => {
    client?.close();
    await Promise.all(members.map((member) => member.dispose()));
  });

  it('a txn of compares only is answered without a quorum (C-0.6)', async () => {
    const compare = [{ key: bytes('q'), target: 3, result: 0, value: bytes('1') }];
    expect((await client.txn({ compare }, { deadlineMs: 60_000 })).succeeded).toBe(true);
    const serializable = await client.range({ key: bytes('q'), serializable: true });
    expect(serializable.count).toBe('1');
    const linearizable = await failureOf(client.range({ key: bytes('q') }, { deadlineMs: 60_000 }));
    expect(linearizable.code).toBe(14);
    expect(linearizable.text).toMatch(/^etcdserver: (request timed out|no leader|leader changed)/);
  });
});

describeWith([targetTool], 'traps with auth', () => {
  const server = useTarget();
  let client: RawClient;
  const auth = (method: string, request: object = {}) =>
    client.unary('etcdserverpb.Auth', method, request);
  beforeAll(() => {
    client = new RawClient(server());
  });
  beforeAll(async () => {
    await auth('UserAdd', { name: 'root', password: 'r' });
    await auth('UserGrantRole', { user: 'root', role: 'root' });
    await auth('AuthEnable');
  });
  afterAll(() => client?.close());

  describe('without a token', () => {
    it('the missing user name is InvalidArgument (C-0.8)', async () => {
      const userEmpty = { code: 3, text: 'etcdserver: user name is empty' };
      expect(await failureOf(client.range({ key: bytes('a') }))).toEqual(userEmpty);
      expect(await failureOf(client.put({ key: bytes('a') }))).toEqual(userEmpty);
    });

    it('a refused watch has id -1 and the text of the whole status (C-0.3)', async () => {
      const stream = client.watch();
      const reply = await createWatch(stream, { key: bytes('a') });
      expect(reply.watch_id).toBe('-1');
      expect(reply.canceled).toBe(true);
      expect(reply.cancel_reason).toMatch(/^rpc error: code = \w+ desc = etcdserver: /);
      stream.reader.cancel();
    });
  });
});
