import { Agent, request } from 'node:http';
import { afterEach, expect, it, vi } from 'vitest';
import { createHttp1 } from '../../src/server/platform/http1-node.js';
import { nodeNetwork } from '../../src/server/platform/network-node.js';

afterEach(() => {
  vi.useRealTimers();
});

it('closes idle HTTP/1.1 connections at once', async () => {
  const http1 = createHttp1(async () => ({ status: 200, headers: {}, body: 'ok' }));
  const anywhere = { host: '127.0.0.1', port: 0 };
  const listener = await nodeNetwork.listen(anywhere, undefined, (stream) => {
    http1.accept(stream, Buffer.alloc(0));
  });
  const agent = new Agent({ keepAlive: true });
  try {
    await new Promise<void>((resolve, reject) => {
      const asked = request({ ...listener.address, agent }, (response) => {
        response.resume().once('end', () => resolve());
      });
      asked.once('error', reject).end();
    });
    // The connections in use are given a second, which now never passes.
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    await expect(http1.close()).resolves.toBeUndefined();
  } finally {
    agent.destroy();
    await listener.close();
  }
});
