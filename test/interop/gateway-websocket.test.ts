/**
 * Streams over WebSockets, said to kvorum and to etcd 3.7.3. Where etcd's proxy never answers, or
 * breaks the connection off, kvorum answers and closes it: those rows say what is expected.
 */

import { expect, it } from 'vitest';
import WebSocket from 'ws';
import { useServer, useTarget } from '../helpers/server.js';
import { targetKind, targetTool } from '../helpers/target.js';
import { describeWith, toolPath } from '../helpers/tools.js';
import { b64 } from './gateway/form-requests.js';
import { comparable, withoutExtras } from './gateway/masks.js';
import { type Conversation, converse, type Heard } from './gateway/websocket.js';

const create = (more: object): string =>
  JSON.stringify({ create_request: { key: b64('w'), ...more } });

const equal: readonly Conversation[] = [
  { path: '/v3/watch', says: [create({})], hears: 1 },
  {
    path: '/v3/watch',
    says: [create({}), create({ watch_id: 5 }), '{"cancel_request":{"watch_id":5}}'],
    hears: 3,
  },
  { path: '/v3beta/watch', says: [create({})], hears: 1 },
  { path: '/v3/watch?method=GET', says: [create({})], hears: 1 },
  { path: '/v3/lease/keepalive', says: ['{"ID":1}', '{"ID":"2"}{"ID":3}'], hears: 3 },
  { path: '/v3/lease/keepalive', says: ['{"ID":1}', '{"I'], hears: 9 },
  { path: '/v3/lease/keepalive', says: ['{"ID":1}'], hears: 1, protocols: ['Bearer', 'token'] },
  { path: '/v3/watch', says: ['nonsense'], hears: 1 },
  { path: '/v3/none', says: ['{}'], hears: 9 },
  { path: '/v3/kv/range', says: ['{"key":1}'], hears: 9 },
];

/** One line of what was heard, as the body of an answer. */
function told({ messages, ...rest }: Heard) {
  const body = messages.join('\n');
  const bare = targetKind === 'etcd' ? body : withoutExtras({ status: 0, headers: {}, body }).body;
  return { ...rest, said: comparable({ status: 0, headers: {}, body: bare }) };
}

describeWith(['etcd37', targetTool], 'WebSockets', () => {
  const reference = useServer('etcd', () => ({ program: toolPath('etcd37') }));
  const target = useTarget();

  it.each(equal.map((row) => [`${row.path} ${row.says.join(' ')}`, row] as const))(
    '%s, as etcd',
    async (_name, row) => {
      const [etcd, own] = await Promise.all([
        converse(reference().endpoint, row),
        converse(target().endpoint, row),
      ]);
      expect(told(own)).toEqual(told(etcd));
    },
  );

  it.skipIf(targetKind === 'etcd')(
    'a call with one answer gets it (etcd never sends it)',
    async () => {
      const row = { path: '/v3/kv/range', says: [`{"key":"${b64('none')}"}`], hears: 9 };
      expect((await converse(reference().endpoint, row)).messages).toEqual([]);
      const heard = await converse(target().endpoint, row);
      expect(heard).toMatchObject({
        isClosed: true,
        messages: [expect.stringContaining('"header"')],
      });
    },
  );

  it.skipIf(targetKind === 'etcd')('a snapshot comes (etcd never begins it)', async () => {
    const row = { path: '/v3/maintenance/snapshot', says: ['{}'], hears: 999 };
    const { messages, isClosed } = await converse(target().endpoint, row);
    expect(isClosed).toBe(true);
    expect(messages.length).toBeGreaterThan(1);
    const lines = messages.map((text) => JSON.parse(text) as { result: { blob: string } });
    expect(lines.map(({ result }) => result.blob.length > 0)).not.toContain(false);
  });

  it.each(['/version', '/v3'])('%s has none', async (path) => {
    const statuses = await Promise.all(
      [reference(), target()].map(
        ({ endpoint }) =>
          new Promise((resolve) => {
            const socket = new WebSocket(`ws://${endpoint}${path}`);
            socket.on('unexpected-response', (_request, response) => resolve(response.statusCode));
            socket.on('error', () => {});
          }),
      ),
    );
    expect(statuses[1]).toBe(statuses[0]);
  });
});
