/** What helps: said to people, in words that can be typed, and to nobody else. */

import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EtcdClientError, type Reason } from '../../src/client/index.js';
import { hintOf } from '../../src/ctl/failure/index.js';
import { startNode, type TestNode } from '../../src/testing/index.js';
import { runCtlHere } from '../helpers/ctl-in-process.js';

const context = { program: 'kvorum', hasUser: false };

function failed(reason: Reason, message: string): EtcdClientError {
  return new EtcdClientError({ code: 'UNKNOWN', reason, outcome: 'failed', message });
}

describe('hints', () => {
  // The texts are those of src/client/connection/diagnosis.ts.
  it.each<[Reason, string, RegExp]>([
    ['CONNECT_FAILED', 'a:1 is the port for peers of an etcd member: clients', /peer port/],
    ['CONNECT_FAILED', 'a:1 speaks TLS: use https:// or give `tls`', /--cacert FILE/],
    ['CONNECT_FAILED', 'a:1 does not speak TLS: use http://, and no `tls`', /has no TLS/],
    ['CONNECT_FAILED', 'the certificate of a:1 is refused: self-signed; give', /--cacert FILE/],
    ['CONNECT_FAILED', 'a:1 wants a client certificate (tls.cert, tls.key)', /--cert FILE/],
    ['CONNECT_FAILED', 'a:1 is an HTTP/1 server, or a proxy', /no etcd/],
    ['CONNECT_FAILED', 'could not connect to a:1: connect ECONNREFUSED', /Is it running\?/],
    ['CONNECT_FAILED', 'could not connect to a:1: getaddrinfo ENOTFOUND a', /not known here/],
    ['UNIMPLEMENTED', 'unknown service etcdserverpb.KV: a:1 is a port for peers', /peer port/],
    ['USER_EMPTY', 'etcdserver: user name is empty', /give --user NAME/],
    ['PERMISSION_DENIED', 'etcdserver: permission denied', /give --user NAME/],
    ['NO_SPACE', 'etcdserver: mvcc: database space exceeded', /alarm disarm/],
    ['NO_LEADER', 'etcdserver: no leader', /endpoint status --cluster/],
  ])('%s, %j', (reason, message, hint) => {
    expect(hintOf(failed(reason, message), context)).toMatch(hint);
  });

  it('do not tell who is signed in to sign in', () => {
    const denied = failed('PERMISSION_DENIED', 'etcdserver: permission denied');
    expect(hintOf(denied, { ...context, hasUser: true })).toMatch(/may not do that/);
  });

  it('are not there where nobody knows what helps', () => {
    expect(hintOf(failed('OTHER', 'something'), context)).toBeUndefined();
    expect(hintOf(new Error('ECONNREFUSED'), context)).toBeUndefined();
  });

  describe('of real failures', () => {
    let node: TestNode;
    let web: Server;
    let webAt = '';
    beforeAll(async () => {
      node = await startNode();
      web = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
      await new Promise<void>((resolve) => void web.listen(0, '127.0.0.1', resolve));
      const address = web.address();
      webAt = typeof address === 'object' ? `127.0.0.1:${address?.port}` : '';
    });
    afterAll(async () => {
      await node.stop();
      web.close();
    });

    const run = (line: string, program = 'kvorum', onTerminal = true) =>
      runCtlHere(line.split(' '), { program, onTerminal });
    const nowhere = 'get k --command-timeout 500ms --endpoints 127.0.0.1:1';

    it('say who is refused that nothing listens', async () => {
      const { code, stderr } = await run(nowhere);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^Error: .*ECONNREFUSED.*\nNothing listens there\./);
    });

    it('are neither for scripts nor for who calls etcdctl', async () => {
      const plain = 'Error: context deadline exceeded\n';
      expect((await run(nowhere, 'kvorum', false)).stderr).toBe(plain);
      expect((await run(nowhere, 'etcdctl', true)).stderr).toBe(plain);
    });

    it('know a web server', async () => {
      expect((await run(`get k --endpoints ${webAt}`)).stderr).toMatch(/This is no etcd/);
      expect((await run(`endpoint hashkv --endpoints ${webAt}`)).stderr).toMatch(/This is no etcd/);
      expect((await run(`endpoint status --cluster --endpoints ${webAt}`)).stderr).toMatch(
        /failed to fetch endpoints[\s\S]*This is no etcd/,
      );
    });

    it('tell to sign in, and that the password is wrong', async () => {
      const at = `--endpoints ${node.endpoint}`;
      await run(`user add root:pw ${at}`);
      await run(`auth enable ${at}`);
      expect((await run(`get k ${at}`)).stderr).toMatch(/give --user NAME/);
      const { code, stderr } = await run(`get k ${at} --user root:wrong`);
      expect({ code, stderr }).toEqual({
        code: 2,
        stderr: expect.stringMatching(/The name or the password is wrong\.\n$/),
      });
    });
  });
});
