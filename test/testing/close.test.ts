/** After `close()` nothing of a test's node or cluster is left that keeps a process alive. */

import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startCluster, startNode } from '../../src/testing/index.js';
import { exec } from '../helpers/exec.js';
import { describeWith, repoRoot } from '../helpers/tools.js';

describeWith(['kvorum'], 'close()', () => {
  it.each([
    ['a node', 'const it = await startNode(); const at = it.endpoint;'],
    ['a cluster', 'const it = await startCluster(); const at = it.endpoints;'],
  ])('of %s lets the process end', async (_, start) => {
    const source = `
      import { Etcd } from 'kvorum/client';
      import { startCluster, startNode } from 'kvorum/testing';
      ${start}
      const client = new Etcd(at);
      await client.kv.put('a', '1');
      await client.close();
      await it.close();
      console.log('end');
    `;
    const args = ['--input-type=module', '--eval', source];
    // The limit only ends what hangs.
    const done = await exec(process.execPath, args, { timeoutMs: 100_000, cwd: repoRoot });
    expect(String(done.stdout) + String(done.stderr)).toBe('end\n');
    expect(done.code).toBe(0);
  });
});

describe('close()', () => {
  it('frees the port, and may be called again', async () => {
    const node = await startNode();
    const [host = '', port = ''] = node.endpoint.split(':');
    await node.close();
    await node.close();
    const failed = await new Promise((resolve) => {
      const socket = connect(Number(port), host, () => resolve(undefined));
      socket.on('error', resolve);
    });
    expect(failed).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('options that are none are refused', async () => {
    await expect(startCluster({ nodes: 3 } as never)).rejects.toThrow('unknown option "nodes"');
  });
});
