/** --discovery-srv: who founds a cluster, as DNS has it. */

import { createSocket } from 'node:dgram';
import dns from 'node:dns';
import { describe, expect, it } from 'vitest';
import { type SrvTarget, silentLogger } from '../../src/common/index.js';
import { setUpMember } from '../../src/server/bootstrap/index.js';
import { discoverBySrv } from '../../src/server/bootstrap/srv-discovery.js';
import { defaultConfig, UsageError } from '../../src/server/options/index.js';
import { nodeNetwork } from '../../src/server/platform/index.js';
import { SimClock, SimRandom } from '../../src/sim/index.js';

const hosts: Readonly<Record<string, string>> = {
  'a.example': '10.0.0.1',
  'b.example': '10.0.0.2',
  'c.example': '10.0.0.3',
};

/** DNS, as far as these records go. */
function names(records: Readonly<Record<string, readonly SrvTarget[]>>) {
  const asked: string[] = [];
  return {
    asked,
    resolve: async (host: string) => {
      const address = /^[\d.]+$/.test(host) ? host : hosts[host];
      if (address === undefined) throw new Error(`ENOTFOUND ${host}`);
      return [address];
    },
    resolveSrv: async (name: string) => {
      asked.push(name);
      const found = records[name];
      if (found === undefined) throw new Error(`ENOTFOUND ${name}`);
      return found;
    },
  };
}

const at = (host: string, port = 2380): SrvTarget => ({ host, port });
const three = [at('b.example.'), at('a.example'), at('c.example')];
const own = ['--name=m1', '--discovery-srv=example', '--initial-advertise-peer-urls'];

function discover(network: ReturnType<typeof names>, urls: string, serviceName = '') {
  const config = defaultConfig(...own, urls, ...(serviceName && [`--discovery-srv-name=x`]));
  const options = { config, domain: 'example', logger: silentLogger, network, serviceName };
  return discoverBySrv(options);
}

describe('SRV records', () => {
  it('name the members; this one is where its advertised address is', async () => {
    const network = names({ '_etcd-server._tcp.example': three });
    const members = await discover(network, 'http://a.example:2380');
    expect([...members]).toEqual([
      ['0', ['http://b.example:2380']],
      ['m1', ['http://a.example:2380']],
      ['1', ['http://c.example:2380']],
    ]);
    expect(network.asked).toEqual(['_etcd-server-ssl._tcp.example', '_etcd-server._tcp.example']);
    expect([...(await discover(network, 'http://10.0.0.1:2380')).keys()]).toContain('m1');
  });

  it('are those of both services, with the suffix that was asked for', async () => {
    const network = names({
      '_etcd-server-ssl-x._tcp.example': [at('a.example')],
      '_etcd-server-x._tcp.example': [at('b.example', 1)],
    });
    expect([...(await discover(network, 'https://a.example:2380', 'x'))]).toEqual([
      ['m1', ['https://a.example:2380']],
      ['0', ['http://b.example:1']],
    ]);
  });

  it('that are missing, or without this member, end the start with the reason', async () => {
    const plain = names({ '_etcd-server._tcp.example': three });
    for (const [network, urls, text] of [
      [names({}), 'http://a.example:2380', /error querying DNS SRV records for _etcd-server-ssl/],
      [plain, 'http://a.example:1', /cannot find local etcd member "m1" in SRV records of example/],
      [plain, 'https://a.example:2380', /is this member, which does not advertise http/],
      [plain, 'http://nobody.example:2380', /nobody.example:2380 can't be resolved/],
    ] as const) {
      const failure = await discover(network, urls).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(UsageError);
      expect(String(failure)).toMatch(text);
    }
  });

  it('with a host that is unknown leave that member out', async () => {
    const records = [at('a.example'), at('gone.example'), at('no host')];
    const network = names({ '_etcd-server._tcp.example': records });
    expect([...(await discover(network, 'http://a.example:2380')).keys()]).toEqual(['m1']);
  });

  it('found a cluster with the ids that --initial-cluster would have given', async () => {
    const clock = new SimClock();
    const setUp = (argv: readonly string[]) =>
      setUpMember({
        config: defaultConfig(...argv),
        ...{ clock, logger: silentLogger, random: new SimRandom(1), peers: undefined },
        ...names({ '_etcd-server._tcp.example': three }),
      });
    const byDns = await clock.runUntil(setUp([...own, 'http://a.example:2380']));
    const url = (host: string) => `http://${host}.example:2380`;
    const listed = await clock.runUntil(
      setUp([
        ...['--name=m1', `--initial-advertise-peer-urls=${url('a')}`],
        `--initial-cluster=m1=${url('a')},m2=${url('b')},m3=${url('c')}`,
      ]),
    );
    expect(byDns.clusterId).toBe(listed.clusterId);
    expect(byDns.memberId).toBe(listed.memberId);
  });
});

describe('the flags', () => {
  it('are one source of members of several', () => {
    const conflict = () => defaultConfig(...own, 'http://a:1', '--initial-cluster=m1=http://a:1');
    expect(conflict).toThrow(/multiple discovery or bootstrap flags are set/);
    expect(() => defaultConfig('--discovery-srv=a b')).toThrow(/must be a DNS domain/);
  });

  it('of the discovery service are refused, with what to do instead', () => {
    for (const flag of ['--discovery-token=x', '--discovery-endpoints=http://x:1']) {
      expect(() => defaultConfig(flag)).toThrow(/is not supported: give all members by --initial/);
    }
    const [warning] = defaultConfig('--discovery-password=hush').warnings;
    expect(warning).toContain('--discovery-password is ignored');
    expect(warning).not.toContain('hush');
  });
});

describe('the network of this machine', () => {
  it('asks DNS for SRV records', async () => {
    const server = createSocket('udp4');
    // One answer to whatever is asked: priority 0, weight 0, port 2380, target "m.test".
    server.on('message', (query, { address, port }) => {
      const rest = Buffer.from([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 14, 0, 0, 0, 0, 9, 76]);
      const target = Buffer.from('\x01m\x04test\x00', 'latin1');
      const question = query.subarray(12, query.indexOf(0, 12) + 5);
      const head = Buffer.from([...query.subarray(0, 2), 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
      server.send(Buffer.concat([head, question, rest, target]), port, address);
    });
    await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
    const before = dns.getServers();
    dns.promises.setServers([`127.0.0.1:${server.address().port}`]);
    try {
      const found = await nodeNetwork.resolveSrv?.('_etcd-server._tcp.test');
      expect(found).toEqual([{ host: 'm.test', port: 2380 }]);
    } finally {
      dns.promises.setServers(before);
      server.close();
    }
  });
});
