import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RevocationList } from '../../src/server/options/revocation-list.js';
import { Authority, describeWithOpenssl } from '../e2e/certificates.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-crl-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function tlv(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const value = Buffer.concat(parts);
  const { length } = value;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), value]);
  const hex = length.toString(16);
  const size = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 + size.length]), size, value]);
}

const time = tlv(0x17, Buffer.from('260101000000Z'));
const algorithm = tlv(0x30, tlv(0x06, Buffer.from('2a8648ce3d040302', 'hex')));
const nobody = tlv(0x30);
const signature = tlv(0x03, Buffer.from([0, 1, 2, 3]));

/** The contents of an INTEGER. */
function integer(value: bigint): Buffer {
  for (let bits = 8; ; bits += 8) {
    if (BigInt.asIntN(bits, value) !== value) continue;
    return Buffer.from(
      BigInt.asUintN(bits, value)
        .toString(16)
        .padStart(bits / 4, '0'),
      'hex',
    );
  }
}

function listOf(serials: readonly bigint[], before: readonly Buffer[] = [time]): Buffer {
  const entries = serials.map((serial) => tlv(0x30, tlv(0x02, integer(serial)), time));
  const revoked = entries.length === 0 ? [] : [tlv(0x30, ...entries)];
  return tlv(0x30, tlv(0x30, algorithm, nobody, ...before, ...revoked), algorithm, signature);
}

/** As node:crypto writes a serial number. */
function asNode(serial: bigint): string {
  const hex = (serial < 0n ? -serial : serial).toString(16).toUpperCase();
  return (serial < 0n ? '-' : '') + (hex.length % 2 === 0 ? hex : `0${hex}`);
}

describe('RevocationList', () => {
  it('has the serial numbers that are on it, and no others', () => {
    const serials = fc.uniqueArray(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 159n }), {
      maxLength: 300,
      selector: (serial) => (serial < 0n ? -serial : serial),
    });
    fc.assert(
      fc.property(serials, serials, (on, others) => {
        const list = RevocationList.parse(listOf(on));
        expect(list.size).toBe(on.length);
        for (const serial of on) expect(list.has(asNode(serial))).toBe(true);
        const magnitudes = new Set(on.map((serial) => (serial < 0n ? -serial : serial)));
        for (const serial of others) {
          const magnitude = serial < 0n ? -serial : serial;
          expect(list.has(asNode(serial))).toBe(magnitudes.has(magnitude));
        }
      }),
      { numRuns: 100 },
    );
  });

  it('takes times of both forms, and none for the next list', () => {
    const later = tlv(0x18, Buffer.from('20500101000000Z'));
    const extensions = tlv(0xa0, tlv(0x30));
    for (const times of [[time], [later], [time, time], [time, later], [later, later]]) {
      expect(RevocationList.parse(listOf([7n], times)).has('07')).toBe(true);
      expect(RevocationList.parse(listOf([], [...times, extensions])).size).toBe(0);
    }
  });

  it('says what is wrong with a file, whatever is in it', () => {
    const whole = listOf([1n, 2n ** 100n, 3n]);
    const parse = (bytes: Buffer) => () => RevocationList.parse(bytes);
    for (let length = 0; length < whole.length; length += 1) {
      expect(parse(whole.subarray(0, length)), `${length} bytes`).toThrow('damaged at byte');
    }
    expect(parse(Buffer.concat([whole, Buffer.from([0])]))).toThrow('damaged at byte');
    const indefinite = Buffer.concat([Buffer.from([0x30, 0x80]), whole, Buffer.alloc(2)]);
    expect(parse(indefinite)).toThrow('damaged at byte');
    const pem = `-----BEGIN X509 CRL-----\n${whole.toString('base64')}\n-----END X509 CRL-----\n`;
    expect(RevocationList.parse(Buffer.from(pem)).size).toBe(3);
    expect(parse(Buffer.from(pem.slice(0, -20)))).toThrow('no complete "X509 CRL"');
    expect(parse(Buffer.from(pem.replaceAll('X509 CRL', 'CERTIFICATE')))).toThrow('no complete');
    fc.assert(
      fc.property(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 }), (at, byte) => {
        const flipped = Buffer.from(whole);
        flipped[at] = byte;
        try {
          expect(RevocationList.parse(flipped).size).toBeLessThanOrEqual(3);
        } catch (error) {
          expect(String(error)).toContain('damaged at byte');
        }
      }),
    );
  });
});

describeWithOpenssl('lists made by openssl', () => {
  let authority: Authority;
  const serialOf = (path: string): string => new X509Certificate(readFileSync(path)).serialNumber;

  beforeAll(() => {
    authority = new Authority(join(dir, 'ca'), 'authority');
  });

  it('are read in PEM and in DER, overdue or not, and all that are in one file', () => {
    const other = new Authority(join(dir, 'other'), 'other');
    const good = serialOf(authority.issue('good', 'clientAuth').cert);
    const empty = RevocationList.parse(readFileSync(authority.crl('der')));
    expect([empty.size, empty.has(good)]).toEqual([0, false]);
    const bad = authority.issue('bad', 'clientAuth').cert;
    authority.revoke(bad);
    for (const form of ['pem', 'der'] as const) {
      for (const overdue of [false, true]) {
        const list = RevocationList.parse(readFileSync(authority.crl(form, overdue)));
        expect([list.has(serialOf(bad)), list.has(good)]).toEqual([true, false]);
      }
    }
    const lists = [other.crl(), authority.crl()].map((path) => readFileSync(path));
    expect(RevocationList.parse(Buffer.concat(lists)).has(serialOf(bad))).toBe(true);
  });
});
