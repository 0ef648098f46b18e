import { describe, expect, it } from 'vitest';
import { parseOptions as parseChaos } from '../chaos/options.js';
import { parseOptions as parseSim } from '../sim/options.js';

describe('the command line of the simulator', () => {
  it('has a hundred seeds, and one if that is named', () => {
    expect(parseSim([])).toMatchObject({ seeds: 100, seed: 1, size: undefined, shrink: true });
    expect(parseSim(['--seed', '7'])).toMatchObject({ seeds: 1, seed: 7 });
    expect(parseSim(['--seed=7', '--seeds=3', '--no-shrink'])).toMatchObject({
      ...{ seeds: 3, seed: 7, shrink: false },
    });
    expect(parseSim(['--mutation', 'x'])).toMatchObject({ mutations: true, mutation: 'x' });
  });

  it.each([
    [['--sed', '3'], /--sed.*--seeds N/s],
    [['3'], /'3'.*--seeds N/s],
    [['--seed'], /--seed.*--seeds N/s],
    [['--seed', 'x'], '--seed must be a whole number of at least 0, not "x"'],
    [['--seed='], '--seed must be a whole number of at least 0, not ""'],
    [['--steps', '1.5'], '--steps must be a whole number of at least 0, not "1.5"'],
  ] as const)('says what is wrong with %j', (argv, text) => {
    expect(() => parseSim(argv)).toThrow(text);
  });
});

describe('the command line of the chaos run', () => {
  it('has a value for everything', () => {
    expect(parseChaos(['--faults', 'kill,pause', '--fault-every=2'], '/tmp', 5)).toMatchObject({
      ...{ minutes: 1, seed: 5, size: 3, program: 'kvorum', faultEveryMs: 2000, dir: '/tmp' },
      faults: ['kill', 'pause'],
    });
  });

  it.each([
    [['--minute', '3'], /--minute.*--minutes T/s],
    [['--minutes', '0'], '--minutes must be a number of at least 0.1, not "0"'],
    [['--program', 'zookeeper'], '--program kvorum or etcd'],
  ] as const)('says what is wrong with %j', (argv, text) => {
    expect(() => parseChaos(argv, '/tmp', 5)).toThrow(text);
  });
});
