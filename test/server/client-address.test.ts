/** Which certificates are good for which address; the rules are etcd's (listener_tls.go). */

import { describe, expect, it } from 'vitest';
import type { TlsPresented } from '../../src/common/index.js';
import { addressProblem, type HostNames } from '../../src/server/platform/client-address.js';
import { plainAddress } from '../../src/server/platform/tls-presented.js';

const names: Readonly<Record<string, readonly string[]>> = {
  '10.0.0.1': ['m1.example.com.', 'other.example.com'],
  '10.0.0.2': ['M2.Cluster.example.COM.'],
  'forward.example.com': ['10.0.0.8', '10.0.0.9'],
  'six.example.com': ['::ffff:10.0.0.7'],
};

function resolver() {
  const asked: string[] = [];
  const find = async (what: string): Promise<readonly string[]> => {
    asked.push(what);
    const found = names[what];
    if (found === undefined) throw new Error(`no such host ${what}`);
    return found;
  };
  const both: HostNames = { namesOf: find, addressesOf: find };
  return { asked, both };
}

function certificate(hostNames: readonly string[], addresses: readonly string[]): TlsPresented {
  const isFor = (host: string): boolean => addresses.includes(host) || hostNames.includes(host);
  return { serials: ['1'], commonName: 'm', hostNames, addresses, isFor };
}

describe('the address of a certificate', () => {
  it('is any if it names none', () => {
    const { asked, both } = resolver();
    expect(addressProblem(certificate([], []), '10.0.0.1', both)).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it('is one that it has, in any writing, and nobody is asked', () => {
    const { asked, both } = resolver();
    const own = certificate(['x.example.com'], ['10.0.0.5', 'fe80::1']);
    for (const from of ['10.0.0.5', '::ffff:10.0.0.5', '::FFFF:10.0.0.5', 'fe80::1%eth0']) {
      expect(addressProblem(own, from, both), from).toBeUndefined();
    }
    expect(asked).toEqual([]);
  });

  it('is no other if it has no names', () => {
    const problem = addressProblem(certificate([], ['10.0.0.5']), '10.0.0.6', resolver().both);
    expect(problem).toBe('x509: certificate is valid for 10.0.0.5, not 10.0.0.6');
  });

  it.each([
    ['10.0.0.1', ['m1.example.com'], 'that has the name'],
    ['10.0.0.1', ['absent.example.com', 'OTHER.example.com'], 'that has one of the names'],
    ['10.0.0.2', ['*.example.com'], 'that has a name below it, however far'],
    ['10.0.0.9', ['*.example.com', 'forward.example.com'], 'that the name leads to'],
    ['::ffff:10.0.0.7', ['six.example.com'], 'that the name leads to in another writing'],
  ])('is %s with %j, %s', async (from, hostNames) => {
    for (const addresses of [[], ['10.9.9.9']]) {
      const { both } = resolver();
      const own = { ...certificate(hostNames, addresses), isFor: () => false };
      expect(await addressProblem(own, from, both)).toBeUndefined();
    }
  });

  it.each([
    ['10.0.0.1', ['m2.example.com'], 'another name'],
    ['10.0.0.1', ['*.m1.example.com'], 'the name itself is not below it'],
    ['10.0.0.2', ['*ample.com'], 'a wildcard is a whole label'],
    ['10.0.0.3', ['forward.example.com'], 'a name that leads elsewhere'],
    ['10.0.0.3', ['*.com'], 'a wildcard leads nowhere'],
  ])('is not %s with %j: %s', async (from, hostNames) => {
    const own = { ...certificate(hostNames, []), isFor: () => false };
    expect(await addressProblem(own, from, resolver().both)).toContain(
      `tls: "${from}" does not match any of DNSNames ${JSON.stringify(hostNames)}`,
    );
  });

  it('is told with why nobody knew, and asks only for so many names', async () => {
    const { asked, both } = resolver();
    const many = Array.from({ length: 100 }, (_, i) => `n${i}.example.com`);
    const problem = await addressProblem(certificate(many, []), '10.0.0.3', both);
    expect(problem).toMatch(/\(no such host n31\.example\.com\)$/);
    expect(asked).toHaveLength(1 + 32);
  });
});

describe('plainAddress', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1'],
    ['[::1]', '::1'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['fe80::1%3', 'fe80::1'],
    ['localhost', undefined],
    ['', undefined],
    ['::ffff:1.2.3.4.5', undefined],
  ])('of %s is %s', (text, address) => expect(plainAddress(text)).toBe(address));
});
