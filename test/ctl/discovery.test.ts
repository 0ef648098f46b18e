import { expect, it } from 'vitest';
import type { GlobalValues } from '../../src/ctl/command/index.js';
import { globalFlags, parseLine } from '../../src/ctl/command/index.js';
import { withDiscovery } from '../../src/ctl/connect/index.js';
import { collectingIo } from '../helpers/ctl-in-process.js';

type Records = Readonly<Record<string, ReadonlyArray<{ host: string; port: number }>>>;

const both: Records = {
  '_etcd-client-ssl._tcp.example.org': [
    { host: 'a.example.org', port: 2379 },
    { host: 'fd00::1', port: 2380 },
  ],
  '_etcd-client._tcp.example.org': [{ host: 'b.example.org', port: 2379 }],
  '_etcd-client-blue._tcp.example.org': [{ host: 'blue.example.org', port: 1 }],
};

async function discovered(records: Records, ...words: string[]) {
  const { io, stderr } = collectingIo({
    io: {
      resolveSrv: async (name) => {
        const found = records[name];
        if (found !== undefined) return found;
        throw Object.assign(new Error(`querySrv ENOTFOUND ${name}`), { code: 'ENOTFOUND' });
      },
    },
  });
  const { flags } = parseLine(words, globalFlags);
  const global = await withDiscovery(flags as unknown as GlobalValues, io);
  return { endpoints: global.endpoints, stderr: stderr() };
}

it('asks nobody without the flag', async () => {
  expect((await discovered({})).endpoints).toEqual(['127.0.0.1:2379']);
});

it('finds endpoints with TLS, then those without', async () => {
  const { endpoints, stderr } = await discovered(both, '--discovery-srv=example.org');
  expect(endpoints).toEqual([
    'https://a.example.org:2379',
    'https://[fd00::1]:2380',
    'http://b.example.org:2379',
  ]);
  expect(stderr).toBe('');
});

it('takes one of the two, and the service that is named', async () => {
  const named = ['-d', 'example.org', '--discovery-srv-name', 'blue'];
  expect((await discovered(both, ...named)).endpoints).toEqual(['http://blue.example.org:1']);
});

it('leaves out those without TLS if that is asked for, and says so', async () => {
  const only = ['--discovery-srv=example.org', '--insecure-discovery=false'];
  const { endpoints, stderr } = await discovered(both, ...only);
  expect(endpoints).toHaveLength(2);
  expect(stderr).toBe('ignoring discovered insecure endpoint "http://b.example.org:2379"\n');
});

it('says what DNS does not have', async () => {
  await expect(discovered({}, '--discovery-srv=example.org')).rejects.toThrow(
    'dns lookup errors: lookup _etcd-client-ssl._tcp.example.org: no such host and ' +
      'lookup _etcd-client._tcp.example.org: no such host',
  );
});
