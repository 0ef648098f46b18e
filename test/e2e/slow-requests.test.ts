/** The log of slow requests says where the time of each went. */

import { expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { RawClient } from '../helpers/grpc.js';
import { useServer } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';

interface Line {
  readonly msg: string;
  readonly 'response type': string;
  readonly 'steps ms': Readonly<Record<string, number>>;
  readonly 'longest step': string;
}

describeWith(['kvorum'], 'slow requests in the log', () => {
  const server = useServer('kvorum', () => ({ args: ['--warning-unary-request-duration', '1ns'] }));
  const linesOf = (method: string) =>
    server()
      .log.split('\n')
      .filter((line) => line.includes('"request stats"') && line.includes(method))
      .map((line) => JSON.parse(line) as Line);

  it('have the steps of a write, of a read, and of one that asks nobody', async () => {
    const client = new RawClient(server());
    try {
      const key = Buffer.from('a');
      await client.put({ key, value: Buffer.from('secret') });
      await client.range({ key });
      await client.range({ key, serializable: true });
    } finally {
      client.close();
    }
    const ranges = () => {
      const lines = linesOf('KV/Range');
      return lines.length >= 2 ? lines : undefined;
    };
    const [read, serializable] = await eventually(ranges, 'the ranges are in the log');
    const [put] = linesOf('KV/Put');
    const steps = put?.['steps ms'] ?? {};
    expect(Object.keys(steps).sort()).toEqual(
      ['applied', 'committed', 'durable', 'proposed', 'sent'].sort(),
    );
    // In the order in which they happened, each after the one before.
    const times = Object.values(steps);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(Object.keys(steps)[0]).toBe('proposed');
    expect(Object.keys(steps).at(-1)).toBe('sent');
    expect(Object.keys(steps)).toContain(put?.['longest step']);
    expect(Object.keys(read?.['steps ms'] ?? {})).toEqual(['confirmed', 'sent']);
    expect(Object.keys(serializable?.['steps ms'] ?? {})).toEqual(['sent']);
    expect(server().log).not.toContain('secret');
  });
});
