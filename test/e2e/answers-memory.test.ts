/**
 * Two hundred clients ask for twenty megabytes each of a member that has memory for a few of them:
 * they wait for one another, small reads and writes do not, and the process stays below a bound.
 */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeRangeRequest } from '../../src/proto/index.js';
import { nodeClock } from '../../src/server/platform/clock-node.js';
import { nodeNetwork } from '../../src/server/platform/network-node.js';
import { connectGrpc, type GrpcClient } from '../../src/transport/index.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { type ServerProcess, startKvorum } from '../helpers/server.js';

const answersBytes = 128 * 1024 * 1024;
const keys = 20;
const valueBytes = 1024 * 1024;
const ranges = 200;

/** Length of the answer to a range; rejects with the status if it is none. */
function answerBytes(client: GrpcClient, request: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    client.unary('/etcdserverpb.KV/Range', request, { timeoutMs: 380_000 }, (status, message) => {
      if (message === undefined) reject(new Error(`${status.code} ${status.message}`));
      else resolve(message.length);
    });
  });
}

describe('200 ranges of 20 MB at a time', { timeout: 400_000 }, () => {
  let server: ServerProcess;
  const clients: RawClient[] = [];

  beforeAll(async () => {
    server = await startKvorum({
      args: ['--answers-memory-bytes', String(answersBytes)],
      env: { NODE_OPTIONS: '--max-old-space-size=128' },
    });
    const client = new RawClient(server);
    clients.push(client);
    for (let i = 0; i < keys; i += 1) {
      await client.put({ key: bytes(`large/${100 + i}`), value: Buffer.alloc(valueBytes, 'v') });
    }
    // What comes later has its place in the cache: the large ones are read from disk.
    for (let i = 0; i < 80; i += 10) {
      const put = (j: number) => ({
        key: bytes(`later/${i + j}`),
        value: Buffer.alloc(valueBytes),
      });
      await Promise.all(Array.from({ length: 10 }, (_, j) => client.put(put(j))));
    }
    await client.put({ key: bytes('small'), value: bytes('0') });
  }, 240_000);

  afterAll(async () => {
    for (const client of clients) client.channel.close();
    await server?.dispose();
  });

  const rssBytes = (): number => {
    const pages = readFileSync(`/proc/${server.pid}/status`, 'utf8');
    return 1024 * Number(/VmRSS:\s+(\d+)/.exec(pages)?.[1]);
  };

  it('are all answered, small calls meanwhile, within bounded memory', async () => {
    const before = rssBytes();
    let rssMax = 0;
    let done = 0;
    // Twenty connections, ten at a time on each.
    const request = encodeRangeRequest({ key: 'large/', rangeEnd: 'large0', serializable: true });
    const work = Array.from({ length: 20 }, async () => {
      const { hostname: host, port } = new URL(server.clientUrl);
      const address = { host, port: Number(port) };
      const client = await connectGrpc({ clock: nodeClock, network: nodeNetwork, address });
      await Promise.all(
        Array.from({ length: ranges / 20 }, async () => {
          expect(await answerBytes(client, request)).toBeGreaterThan(keys * valueBytes);
          done += 1;
        }),
      );
      await client.close();
    });
    const small = new RawClient(server);
    clients.push(small);
    let smalls = 0;
    const watcher = (async () => {
      while (done < ranges) {
        await small.put({ key: bytes('small'), value: bytes(String(smalls)) });
        const { kvs } = await small.range({ key: bytes('small') });
        expect(kvs[0]?.value.toString()).toBe(String(smalls));
        smalls += 1;
        rssMax = Math.max(rssMax, rssBytes());
      }
    })();
    await Promise.all([...work, watcher]);
    expect(done).toBe(ranges);
    // Far more than would be if each had to wait for a large one before it.
    expect(smalls).toBeGreaterThan(ranges / 4);
    // What answers may take twice over, as freed memory is not given back at once.
    expect(rssMax - before).toBeLessThan(2 * answersBytes + 64 * 1024 * 1024);
    const metrics = await (await fetch(`${server.clientUrl}/metrics`)).text();
    expect(Number(/^kvorum_answers_bytes_max (\d+)/m.exec(metrics)?.[1])).toBe(answersBytes);
    expect(Number(/^kvorum_answers_waited_total (\d+)/m.exec(metrics)?.[1])).toBeGreaterThan(0);
    expect(Number(/^kvorum_answers_refused_total (\d+)/m.exec(metrics)?.[1])).toBe(0);
    expect(Number(/^kvorum_answers_waiting (\d+)/m.exec(metrics)?.[1])).toBe(0);
  });
});
