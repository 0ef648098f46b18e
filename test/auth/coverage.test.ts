/**
 * What several permissions cover together, against a set of keys counted one by one: the sets of
 * ranges meet, overlap, and leave gaps of one key. The class alone, and a whole server
 * (KVORUM_TEST_TARGET=etcd: etcd's).
 */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Coverage } from '../../src/server/access/coverage.js';
import { bytes } from '../helpers/grpc.js';
import { targetKind, targetTool } from '../helpers/target.js';
import { describeWith, toolPath } from '../helpers/tools.js';
import { outcomeOf } from './matrix/outcome.js';
import { World } from './matrix/world.js';

/** As requests write it: '' is one key, a zero byte all from it on. */
interface Span {
  readonly key: string;
  readonly rangeEnd: string;
}

/** Letters, and keys right behind and in between: where ends of ranges meet. */
const keys = ['a', 'a\0', 'ab', 'b', 'b\0', 'c', 'ca', 'd', 'd\0', 'e'];
const someKey = fc.constantFrom(...keys);
const someSpan = fc
  .record({ key: someKey, rangeEnd: fc.oneof(fc.constant(''), fc.constant('\0'), someKey) })
  .filter(({ key, rangeEnd }) => rangeEnd === '' || rangeEnd === '\0' || key < rangeEnd);

/**
 * One key of each stretch that no end of any range parts: what is true of it is true of the whole
 * stretch. Behind each key comes that with a zero byte; behind all of them a last one.
 */
const world = [...new Set(keys.flatMap((key) => [key, `${key}\0`])), 'z'].sort();

function has({ key, rangeEnd }: Span, one: string): boolean {
  if (rangeEnd === '') return one === key;
  return one >= key && (rangeEnd === '\0' || one < rangeEnd);
}

/** All keys of the request are in one of the grants. */
function isCovered(grants: readonly Span[], request: Span): boolean {
  return world
    .filter((one) => has(request, one))
    .every((one) => grants.some((grant) => has(grant, one)));
}

const manyGrants = fc.array(someSpan, { maxLength: 6 });

describe('the set of keys', () => {
  it('tells ranges that meet from ranges with a key in between', () => {
    const request = { key: 'a', rangeEnd: 'c' };
    const first = { key: 'a', rangeEnd: 'b' };
    expect(isCovered([first, { key: 'b', rangeEnd: 'c' }], request)).toBe(true);
    expect(isCovered([first, { key: 'b\0', rangeEnd: 'c' }], request)).toBe(false);
    expect(isCovered([first, { key: 'b', rangeEnd: '' }], request)).toBe(false);
  });
});

describe('the joined ranges of a user', () => {
  it('cover what the set of their keys has (property)', () => {
    const property = fc.property(manyGrants, someSpan, (grants, request) => {
      const coverage = new Coverage();
      const sorted = grants.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
      for (const grant of sorted) coverage.add(grant);
      expect(coverage.covers(request.key, request.rangeEnd)).toBe(isCovered(grants, request));
    });
    fc.assert(property, { numRuns: 20_000 });
  });
});

describeWith([targetTool, 'openssl'], 'a server', () => {
  let server: World;
  beforeAll(async () => {
    server = await World.start(targetKind, toolPath(targetTool));
  });
  afterAll(() => server.dispose());

  it('lets read and write what the sets of keys have (property)', {
    timeout: 600_000,
  }, async () => {
    const grantsOfBoth = fc.array(fc.tuple(fc.constantFrom(0, 1, 2), someSpan), { maxLength: 5 });
    const requests = fc.array(someSpan, { minLength: 8, maxLength: 8 });
    const property = fc.asyncProperty(grantsOfBoth, requests, async (given, asked) => {
      // A second permission for the same range replaces the first.
      const grants = given.filter(([, { key, rangeEnd }], i) => {
        return !given.slice(i + 1).some(([, b]) => b.key === key && b.rangeEnd === rangeEnd);
      });
      const { client, metadata } = await server.newUser(
        given.map(([permType, { key, rangeEnd }]) => {
          return { permType, key: bytes(key), range_end: bytes(rangeEnd) };
        }),
      );
      const covers = (other: number, request: Span): boolean => {
        const spans = grants.filter(([permType]) => permType !== other).map(([, span]) => span);
        return isCovered(spans, request);
      };
      for (const request of asked) {
        const range = { key: bytes(request.key), range_end: bytes(request.rangeEnd) };
        const read = await outcomeOf(client.range(range, { metadata }));
        expect(read === 'ok', `read ${JSON.stringify(request)}`).toBe(covers(1, request));
        const removed = await outcomeOf(client.deleteRange(range, { metadata }));
        expect(removed === 'ok', `write ${JSON.stringify(request)}`).toBe(covers(0, request));
      }
    });
    await fc.assert(property, { numRuns: 25 });
  });
});
