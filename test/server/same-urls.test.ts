import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import {
  areCertainlyDifferent,
  canonicalHost,
  UrlComparison,
} from '../../src/server/options/same-urls.js';
import { parseUrl } from '../../src/server/options/urls.js';
import { MemoryNetwork, SimClock, SimRandom } from '../../src/sim/index.js';

function comparison() {
  const clock = new SimClock();
  const network = new MemoryNetwork(clock, new SimRandom(1));
  const asked: string[] = [];
  const stop = new AbortController();
  const resolve = (host: string) => {
    asked.push(host);
    return network.resolve(host);
  };
  const naming = { clock, logger: silentLogger, resolve, signal: stop.signal };
  const areSame = (a: string[], b: string[]) => new UrlComparison(naming).areSame(a, b);
  return { clock, network, asked, stop, areSame };
}

describe('URLs of one address', () => {
  it.each([
    ['http://[::1]:2380', 'http://[0:0:0:0:0:0:0:1]:2380'],
    ['http://[2001:DB8::1]:2380', 'http://[2001:db8:0:0::1]:2380'],
    ['http://[2001:db8::0001]:2380', 'http://[2001:db8::1]:2380'],
    ['http://[::ffff:10.0.0.1]:2380', 'http://10.0.0.1:2380'],
    ['http://[::ffff:a00:1]:2380', 'http://10.0.0.1:2380'],
    ['http://[fe80::1%25eth0]:2380', 'http://[fe80:0::1%25eth0]:2380'],
    ['HTTP://a.example:2380', 'http://A.Example.:2380'],
    ['http://localhost:2380', 'http://127.0.0.1:2380'],
    ['unix:///run/a', 'unix:///run/a'],
  ])('are the same without asking: %s and %s', async (a, b) => {
    const { areSame, asked } = comparison();
    expect(await areSame([a], [b])).toBe(true);
    expect(areCertainlyDifferent(a, b)).toBe(false);
    expect(asked).toEqual([]);
  });

  it.each([
    ['http://[::1]:2380', 'http://[::1]:2381'],
    ['http://[::1]:2380', 'https://[::1]:2380'],
    ['http://[::1]:2380', 'http://[::2]:2380'],
    ['http://[fe80::1%25eth0]:2380', 'http://[fe80::1%25eth1]:2380'],
    ['http://10.0.0.1:2380', 'http://10.0.0.2:2380'],
    ['unix:///run/a', 'unix:///run/b'],
    ['unix:///run/a', 'http://a.example:2380'],
    ['http://a.example:2380', 'http://a.example:2381'],
  ])('differ, whatever names resolve to: %s and %s', async (a, b) => {
    const { areSame, asked } = comparison();
    expect(await areSame([a], [b])).toBe(false);
    expect(areCertainlyDifferent(a, b)).toBe(true);
    expect(asked).toEqual([]);
  });

  it('are found by what names resolve to, in any order', async () => {
    const { areSame, asked, network } = comparison();
    network.name('a.example', 'fd00::a', '10.0.0.1');
    network.name('b.example', '10.0.0.2');
    const names = ['http://a.example:1', 'http://b.example:1'];
    expect(await areSame(names, ['http://10.0.0.2:1', 'http://10.0.0.1:1'])).toBe(true);
    expect(await areSame(names, ['http://b.example:1', 'http://[fd00:0::a]:1'])).toBe(true);
    expect(await areSame(names, ['http://10.0.0.2:1', 'http://10.0.0.3:1'])).toBe(false);
    expect(await areSame(names, ['http://10.0.0.1:1'])).toBe(false);
    // Both of one list can't be the one of the other.
    const twice = ['http://10.0.0.1:1', 'http://10.0.0.1:1'];
    expect(await areSame(names, twice)).toBe(false);
    expect(asked.length).toBeGreaterThan(0);
  });

  it('are compared once the name service knows the name', async () => {
    const { areSame, asked, clock, network } = comparison();
    const same = areSame(['http://late.example:1'], ['http://10.0.0.1:1']);
    await clock.run(5_000);
    expect(asked.length).toBeGreaterThan(3);
    network.name('late.example', '10.0.0.1');
    await clock.run(8_000);
    expect(await same).toBe(true);
  });

  it('differ if a name stays unknown for half a minute', async () => {
    const { areSame, clock } = comparison();
    let result: boolean | undefined;
    void areSame(['http://never.example:1'], ['http://10.0.0.1:1']).then((same) => {
      result = same;
    });
    await clock.run(25_000);
    expect(result).toBeUndefined();
    await clock.run(35_000);
    expect(result).toBe(false);
  });

  it('are not waited for when the start is to end', async () => {
    const { areSame, clock, stop } = comparison();
    const same = areSame(['http://never.example:1'], ['http://10.0.0.1:1']);
    const reason = new Error('stop');
    const ended = expect(same).rejects.toBe(reason);
    await clock.run(1_500);
    stop.abort(reason);
    await ended;
  });
});

it('a zone is dialled as the system writes it', () => {
  expect(parseUrl('http://[fe80::1%25eth0]:2380')).toMatchObject({
    address: { host: 'fe80::1%eth0', port: 2380 },
  });
  expect(canonicalHost('fe80::1%eth0')).toBe('fe80::1%eth0');
});
