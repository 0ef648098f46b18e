/** /metrics in the eyes of `promtool check metrics`. */

import { expect, it } from 'vitest';
import { exec } from '../helpers/exec.js';
import { RawClient } from '../helpers/grpc.js';
import { useServer } from '../helpers/server.js';
import { describeWith, toolPath } from '../helpers/tools.js';
import { etcdMetrics } from './etcd-metrics.js';

describeWith(['kvorum', 'promtool'], 'promtool check metrics', () => {
  const server = useServer('kvorum', () => ({ args: ['--metrics', 'extensive'] }));

  it('has nothing to say but of names that etcd gave', async () => {
    const client = new RawClient(server());
    try {
      await client.put({ key: Buffer.from('a'), value: Buffer.from('1') });
    } finally {
      client.close();
    }
    const text = await (await fetch(`${server().clientUrl}/metrics`)).text();
    const check = (stdin: string) => exec(toolPath('promtool'), ['check', 'metrics'], { stdin });
    const { code, stderr } = await check(text);
    // 3: there is something to say; 1: it can not be read.
    expect([0, 3], stderr).toContain(code);
    const lines = stderr.split('\n').filter((line) => line !== '');
    const known = new Set(etcdMetrics.map(([name]) => name));
    expect(lines.filter((line) => !known.has(line.split(' ')[0] ?? ''))).toEqual([]);
    // It does find what is wrong.
    const wrong = await check('# TYPE kvorum_wrong_total gauge\nkvorum_wrong_total 1\n');
    expect(wrong.stderr).toContain('kvorum_wrong_total');
  });
});
