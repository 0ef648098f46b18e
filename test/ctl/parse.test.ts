import { describe, expect, it } from 'vitest';

import { durationText, flag, parseDurationMs, parseLine } from '../../src/ctl/command/index.js';

const declared = {
  prefix: flag.bool(false, ''),
  rev: flag.int64(0n, ''),
  lease: flag.uint64(0n, ''),
  limit: flag.int(0, ''),
  endpoints: flag.strings(['a'], ''),
  'write-out': flag.string('simple', '', { short: 'w' }),
  interactive: flag.bool(false, '', { short: 'i' }),
  timeout: flag.duration(5_000, ''),
};

const values = (...words: string[]) => parseLine(words, declared).flags;
const complaint = (...words: string[]) => {
  try {
    parseLine(words, declared);
  } catch (error) {
    return (error as Error).message;
  }
  return expect.unreachable();
};

describe('a command line', () => {
  it('has flags and arguments in any order, until --', () => {
    const line = parseLine(
      ['k', '--prefix', '--rev=7', 'v', '-w', 'json', '--', '--rev'],
      declared,
    );
    expect(line.args).toEqual(['k', 'v', '--rev']);
    expect(line.flags).toMatchObject({ prefix: true, rev: 7n, 'write-out': 'json', limit: 0 });
    expect([...line.isSet].sort()).toEqual(['prefix', 'rev', 'write-out']);
  });

  it('stops at the first argument where what follows is another program', () => {
    const line = parseLine(['--prefix', 'lock', '--rev', 'x'], declared, { flagsFirst: true });
    expect(line.args).toEqual(['lock', '--rev', 'x']);
  });

  it('may begin a value with a dash, and have it in the same word', () => {
    expect(values('--rev', '-3', '-wtable')).toMatchObject({ rev: -3n, 'write-out': 'table' });
    expect(values('-iw=fields')).toMatchObject({ interactive: true, 'write-out': 'fields' });
    expect(values('--prefix=false', '--rev', '0x10')).toMatchObject({ prefix: false, rev: 16n });
  });

  it('has 64-bit numbers whole', () => {
    expect(values('--lease', '18446744073709551615')).toMatchObject({ lease: 2n ** 64n - 1n });
    expect(complaint('--rev', '9223372036854775808')).toBe(
      'invalid argument "9223372036854775808" for "--rev" flag: ' +
        'strconv.ParseInt: parsing "9223372036854775808": value out of range',
    );
  });

  it('gathers lists, and forgets the default then', () => {
    expect(values('--endpoints', 'b,c', '--endpoints', '"d,e"')).toMatchObject({
      endpoints: ['b', 'c', 'd,e'],
    });
  });

  it.each([
    [['--nope'], 'unknown flag: --nope'],
    [['-xi'], "unknown shorthand flag: 'x' in -xi"],
    [['--rev'], 'flag needs an argument: --rev'],
    [['-w'], "flag needs an argument: 'w' in -w"],
    [['--=x'], 'bad flag syntax: --=x'],
    [
      ['--rev', 'x'],
      'invalid argument "x" for "--rev" flag: strconv.ParseInt: parsing "x": invalid syntax',
    ],
    [
      ['--prefix=maybe'],
      'invalid argument "maybe" for "--prefix" flag: ' +
        'strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    [
      ['--timeout', '5'],
      'invalid argument "5" for "--timeout" flag: time: missing unit in duration "5"',
    ],
    [['--constructor'], 'unknown flag: --constructor'],
  ])('%s: %s', (words, said) => {
    expect(complaint(...words)).toBe(said);
  });
});

describe('a duration', () => {
  it.each([
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['100ms', 100],
    ['0', 0],
    ['-2s', -2_000],
    ['.5s', 500],
  ])('%s', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  it.each([
    [90_000, '1m30s'],
    [2_000, '2s'],
    [100, '100ms'],
    [3_600_000, '1h0m0s'],
    [1_500, '1.5s'],
    [0, '0s'],
  ])('%d ms is %s', (ms, text) => {
    expect(durationText(ms)).toBe(text);
  });
});
