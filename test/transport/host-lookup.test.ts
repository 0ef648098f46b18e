/** Names of the hosts file must be found whatever addresses the machine itself has. */

import dns from 'node:dns';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { makeDialer } from '../../src/client/connection/network-node.js';
import type { Network } from '../../src/common/index.js';
import { nodeNetwork } from '../../src/server/platform/network-node.js';

afterEach(() => {
  vi.restoreAllMocks();
});

const networks: ReadonlyArray<readonly [string, () => Network]> = [
  ['the server', () => nodeNetwork],
  ['the client', () => makeDialer(new AbortController().signal).network],
];

describe.each(networks)('a host name dialled by %s', (_who, makeNetwork) => {
  it('is looked up without regard to the addresses that the machine has', async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
    const lookup = vi.spyOn(dns, 'lookup');
    try {
      const { port } = server.address() as AddressInfo;
      const stream = await makeNetwork().connect({ host: 'localhost', port }, undefined, 5000);
      stream.destroy();
      const hints = lookup.mock.calls.map(([, options]) => (options as { hints?: number }).hints);
      expect(hints).toEqual([0]);
      expect(dns.ADDRCONFIG).not.toBe(0);
    } finally {
      server.close();
    }
  });

  it('resolves to its addresses', async () => {
    expect(await makeNetwork().resolve('localhost')).toEqual(
      expect.arrayContaining([expect.stringMatching(/^(127\.0\.0\.1|::1)$/)]),
    );
    await expect(makeNetwork().resolve('no.such.host.invalid')).rejects.toThrow();
  });
});
