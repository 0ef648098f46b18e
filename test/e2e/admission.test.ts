/** What a member keeps out: requests above --rate-limit, and HTTP/1.1 that never gets to a request. */

import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceError } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { bytes, RawClient } from '../helpers/grpc.js';
import { useServer } from '../helpers/server.js';
import { createWatch, readEvents } from '../helpers/watching.js';

describe('--rate-limit', () => {
  const server = useServer('kvorum', () => ({ args: ['--rate-limit', '30/m,burst=20'] }));

  it('refuses calls and says when to come again, but neither leases nor members', async () => {
    const client = new RawClient(server());
    try {
      const lease = await client.leaseGrant({ TTL: 60 });
      const puts = Array.from({ length: 40 }, () => {
        return client.put({ key: bytes('k'), value: bytes('v') }).then(
          () => undefined,
          (error: ServiceError) => error,
        );
      });
      const refused = (await Promise.all(puts)).filter((error) => error !== undefined);
      expect(refused).toHaveLength(21);
      for (const error of refused) {
        expect([error.code, error.details]).toEqual([
          8,
          expect.stringMatching(
            /^kvorum: more requests than --rate-limit allows, come again in \d+ ms$/,
          ),
        ]);
        const [details] = error.metadata.get('grpc-status-details-bin');
        expect(String(details)).toContain('type.googleapis.com/google.rpc.RetryInfo');
      }
      await client.leaseRevoke({ ID: lease.ID });
      const metrics = await (await fetch(`${server().clientUrl}/metrics`)).text();
      expect(metrics).toContain('kvorum_rate_limited_total{type="refused"} 21');
    } finally {
      client.channel.close();
    }
  });
});

describe('--rate-limit, on a stream', () => {
  const server = useServer('kvorum', () => ({ args: ['--rate-limit', '20,burst=3'] }));

  it('lets watches be created as fast as it may be, and hear of events', async () => {
    const client = new RawClient(server());
    try {
      const watch = client.watch();
      for (let i = 0; i < 8; i++) await createWatch(watch, { key: bytes('k') });
      // Creating them has used up what the client may ask for at once.
      await sleep(500);
      await client.put({ key: bytes('k'), value: bytes('v') });
      expect((await readEvents(watch, 8)).length).toBeGreaterThanOrEqual(8);
    } finally {
      client.channel.close();
    }
  });
});

describe('HTTP/1.1', { timeout: 60_000 }, () => {
  const server = useServer('kvorum');

  const open = (text: string): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(server().clientUrl);
      const socket = connect(Number(port), hostname, () => {
        socket.write(text);
        resolve(socket);
      });
      socket.once('error', reject);
    });

  const closed = (socket: Socket): Promise<string> =>
    new Promise((resolve) => {
      let answer = '';
      socket.on('data', (data) => {
        answer += data.toString('latin1');
      });
      socket.on('error', () => {});
      socket.once('close', () => resolve(answer));
    });

  it('closes connections whose head never ends, and answers others meanwhile', async () => {
    const sockets = await Promise.all(
      Array.from({ length: 200 }, () => open('GET /health HTTP/1.1\r\nHost: x\r\n')),
    );
    const ends = Promise.all(sockets.map(closed));
    const trickle = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write('X-a: b\r\n');
    }, 500);
    try {
      const startMs = Date.now();
      const health = await fetch(`${server().clientUrl}/health`);
      expect(health.status).toBe(200);
      const answers = await ends;
      // As slow as they may be, and the next look at them.
      expect(Date.now() - startMs).toBeLessThan(25_000);
      expect(answers.every((answer) => answer === '' || / 408 /.test(answer))).toBe(true);
    } finally {
      clearInterval(trickle);
    }
  });

  it('refuses a head above what any client sends', async () => {
    const line = `X-${'a'.repeat(100)}: ${'b'.repeat(900)}\r\n`;
    const socket = await open(`GET /health HTTP/1.1\r\nHost: x\r\n${line.repeat(100)}`);
    expect(await closed(socket)).toContain(' 431 ');
  });
});
