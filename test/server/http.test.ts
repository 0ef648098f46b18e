import { describe, expect, it } from 'vitest';
import type { HealthObserver, HealthSource } from '../../src/server/http/health.js';
import { createHttpHandler, type HttpRoutesOptions } from '../../src/server/http/routes.js';
import type { HttpRequest } from '../../src/transport/index.js';

const identity = { commonName: '', certificateVerified: false };

function requestOf(
  method: string,
  url: string,
  headers: Readonly<Record<string, string>> = {},
): HttpRequest {
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  return {
    method,
    path: pathname,
    query: searchParams,
    headers,
    body: (async function* () {})(),
    peer: { address: '10.0.0.1:1', identity },
    wantsWebSocket: false,
    onGone: undefined,
    drop: () => {},
  };
}

class Observed implements HealthObserver {
  readonly seen: string[] = [];
  health(healthy: boolean): void {
    this.seen.push(`health ${healthy}`);
  }
  check(type: string, name: string, healthy: boolean): void {
    this.seen.push(`${type} ${name} ${healthy}`);
  }
}

const healthy: HealthSource = {
  leaderId: () => 1n,
  isLearner: () => false,
  alarms: () => [],
  linearizableRead: async () => undefined,
  serializableRead: async () => undefined,
};

function setUp(
  health: Partial<HealthSource> = {},
  options: Partial<HttpRoutesOptions> = {},
  port = { secure: false, metricsOnly: false },
) {
  const observer = new Observed();
  const handler = createHttpHandler(
    {
      health: { ...healthy, ...health },
      observer,
      versions: () => ({ server: '3.7.3', cluster: '3.7.0', storage: '3.7.0' }),
      metrics: async () => ({ body: 'm 1\n', contentType: 'text/plain; version=0.0.4' }),
      debugVars: () => ({ uptimeSeconds: 1 }),
      downgradeEnabled: async () => true,
      clusterId: 'cdf818194e3a8c32',
      cors: ['*'],
      hostWhitelist: ['*'],
      gateway: undefined,
      ...options,
    },
    port,
  );
  const send = async (method: string, url: string, headers?: Record<string, string>) => {
    const response = await handler(requestOf(method, url, headers));
    return { ...response, body: response.body.toString() };
  };
  const get = (url: string, headers?: Record<string, string>) => send('GET', url, headers);
  return { send, get, observer, handler };
}

const failing = async () => new Error('etcdserver: request timed out');

describe('GET /health', () => {
  it('answers true as a string', async () => {
    const { get, observer } = setUp();
    expect(await get('/health')).toMatchObject({
      status: 200,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: '{"health":"true","reason":""}',
    });
    expect(observer.seen).toEqual(['health true']);
  });

  it.each([
    ['an alarm', { alarms: () => ['NOSPACE'] }, '/health', 'ALARM NOSPACE'],
    ['corruption', { alarms: () => ['CORRUPT'] }, '/health', 'ALARM CORRUPT'],
    ['another alarm', { alarms: () => ['X'] }, '/health', 'ALARM UNKNOWN'],
    [
      'the alarm that is not excluded',
      { alarms: () => ['NOSPACE', 'CORRUPT'] },
      '/health?exclude=NOSPACE',
      'ALARM CORRUPT',
    ],
    ['no leader', { leaderId: () => 0n }, '/health', 'RAFT NO LEADER'],
    [
      'a failing read',
      { linearizableRead: failing },
      '/health',
      'RANGE ERROR:etcdserver: request timed out',
    ],
    [
      'a failing serializable read',
      { serializableRead: failing },
      '/health?serializable=true',
      'RANGE ERROR:etcdserver: request timed out',
    ],
  ])('answers 503 with %s', async (_, source, url, reason) => {
    const { get, observer } = setUp(source);
    const { status, body } = await get(url);
    expect(status).toBe(503);
    expect(JSON.parse(body)).toEqual({ health: 'false', reason });
    expect(observer.seen).toEqual(['health false']);
  });

  it('needs neither leader nor quorum when serializable', async () => {
    const { get } = setUp({ leaderId: () => 0n, linearizableRead: failing });
    expect((await get('/health?serializable=true')).status).toBe(200);
  });

  it('lets every alarm be excluded', async () => {
    const { get } = setUp({ alarms: () => ['NOSPACE', 'CORRUPT'] });
    expect((await get('/health?exclude=NOSPACE&exclude=CORRUPT')).status).toBe(200);
  });
});

describe('GET /livez and /readyz', () => {
  it('answer ok, with details on demand', async () => {
    const { get } = setUp();
    expect(await get('/livez')).toMatchObject({ status: 200, body: 'ok\n' });
    expect((await get('/livez?verbose')).body).toBe('[+]serializable_read ok\nok\n');
    expect((await get('/readyz?verbose')).body).toBe(
      '[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n' +
        '[+]non_learner ok\nok\n',
    );
    expect((await get('/readyz')).headers['content-type']).toBe('text/plain; charset=utf-8');
  });

  it('answer 503 with every check, verbose or not', async () => {
    const { get, observer } = setUp({
      linearizableRead: failing,
      alarms: () => ['CORRUPT'],
      isLearner: () => true,
    });
    const { status, body } = await get('/readyz');
    expect(status).toBe(503);
    expect(body).toBe(
      '[-]data_corruption failed: alarm activated: CORRUPT\n[+]serializable_read ok\n' +
        '[-]linearizable_read failed: range error: etcdserver: request timed out\n' +
        '[-]non_learner failed: local member is learner\n\n',
    );
    expect(observer.seen).toContain('readyz linearizable_read false');
    expect((await get('/livez')).status).toBe(200);
  });

  it('leave out what is excluded', async () => {
    const { get } = setUp({ linearizableRead: failing });
    const { status, body } = await get('/readyz?exclude=linearizable_read&verbose');
    expect(status).toBe(200);
    expect(body).toContain('[+]linearizable_read excluded: ok\n');
  });

  it('have a path for each check', async () => {
    const { get } = setUp({ linearizableRead: failing });
    expect((await get('/readyz/serializable_read')).body).toBe('ok\n');
    expect((await get('/readyz/linearizable_read')).status).toBe(503);
    expect((await get('/livez/linearizable_read')).status).toBe(404);
    expect((await get('/readyz/nope')).status).toBe(404);
  });
});

describe('the rest of the HTTP surface', () => {
  it('GET /version', async () => {
    const { get } = setUp();
    expect(await get('/version')).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: '{"etcdserver":"3.7.3","etcdcluster":"3.7.0","storage":"3.7.0"}',
    });
    const early = setUp(
      {},
      {
        versions: () => ({ server: '3.7.3', cluster: undefined, storage: undefined }),
      },
    );
    expect(JSON.parse((await early.get('/version')).body)).toEqual({
      etcdserver: '3.7.3',
      etcdcluster: 'not_decided',
      storage: 'unknown',
    });
  });

  it('GET /metrics and /debug/vars', async () => {
    const { get } = setUp();
    expect(await get('/metrics')).toMatchObject({
      status: 200,
      headers: { 'content-type': 'text/plain; version=0.0.4' },
      body: 'm 1\n',
    });
    expect(JSON.parse((await get('/debug/vars')).body)).toEqual({ uptimeSeconds: 1 });
  });

  it('GET /downgrade/enabled', async () => {
    expect(await setUp().get('/downgrade/enabled')).toMatchObject({
      status: 200,
      headers: { 'content-type': 'text/plain', 'x-etcd-cluster-id': 'cdf818194e3a8c32' },
      body: 'true',
    });
    const downgradeEnabled = () => Promise.reject(new Error('etcdserver: request timed out'));
    expect(await setUp({}, { downgradeEnabled }).get('/downgrade/enabled')).toMatchObject({
      status: 500,
      body: 'failed linearized read: etcdserver: request timed out\n',
    });
  });

  it.each(['/health', '/livez', '/readyz', '/version', '/debug/vars', '/downgrade/enabled'])(
    'only GET %s',
    async (path) => {
      const { send } = setUp();
      for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
        const { status, headers } = await send(method, path);
        expect([status, headers.allow]).toEqual([405, 'GET']);
      }
    },
  );

  it('/metrics for any method', async () => {
    const { send } = setUp();
    for (const method of ['HEAD', 'POST', 'PUT', 'DELETE', 'PATCH']) {
      expect(await send(method, '/metrics')).toMatchObject({ status: 200, body: 'm 1\n' });
    }
  });

  it('404 for a check that there is none of, whatever the method', async () => {
    const { send } = setUp();
    expect((await send('POST', '/livez/nope')).status).toBe(404);
    expect((await send('POST', '/livez/serializable_read')).status).toBe(405);
  });

  it('404 for anything else, the root included', async () => {
    const { get } = setUp();
    for (const path of ['/', '/v2/keys', '/v3/kv/range', '/config/local/log', '/healthz']) {
      expect(await get(path)).toMatchObject({ status: 404, body: '404 page not found\n' });
    }
  });

  it('gives /v3/ and /v3beta/ to the gateway', async () => {
    const gateway = async (request: HttpRequest) => ({
      status: 200,
      headers: {},
      body: request.path,
    });
    const { send } = setUp({}, { gateway });
    expect((await send('POST', '/v3/kv/range')).body).toBe('/v3/kv/range');
    expect((await send('POST', '/v3beta/kv/range')).body).toBe('/v3beta/kv/range');
    expect((await send('POST', '/v3alpha/kv/range')).status).toBe(404);
  });

  it('CVE-2018-16886 (L-50): refuses the gateway to who counts on the name in a certificate', async () => {
    const gateway = async () => ({ status: 200, headers: {}, body: 'answered' });
    let isOn = false;
    const named = { commonName: 'alice', certificateVerified: true };
    const { handler } = setUp(
      {},
      { gateway, namesByCertificate: () => isOn },
      { secure: true, metricsOnly: false },
    );
    const statusOf = async (method: string, url: string, identity: object) => {
      const asked = requestOf(method, url);
      const peer = { ...asked.peer, identity: { ...asked.peer.identity, ...identity } };
      return (await handler({ ...asked, peer })).status;
    };
    expect(await statusOf('POST', '/v3/kv/range', named)).toBe(200);
    isOn = true;
    for (const path of ['/v3/kv/range', '/v3beta/kv/range', '/v3/', '/v3/none', '/%763/x']) {
      expect(await statusOf('POST', path, named)).toBe(400);
      expect(await statusOf('OPTIONS', path, named)).toBe(400);
      expect(await statusOf('POST', path, { certificateVerified: true })).not.toBe(400);
    }
    expect(await statusOf('GET', '/version', named)).toBe(200);
  });

  it('serves only metrics and health on a metrics port', async () => {
    const { get } = setUp({}, {}, { secure: false, metricsOnly: true });
    for (const path of ['/metrics', '/health', '/livez', '/readyz']) {
      expect((await get(path)).status).toBe(200);
    }
    expect((await get('/version')).status).toBe(404);
    expect((await get('/debug/vars')).status).toBe(404);
  });

  it('knows neither browsers nor Host names on a metrics port', async () => {
    const options = { hostWhitelist: ['etcd.example'] };
    const { send, get } = setUp({}, options, { secure: false, metricsOnly: true });
    const { status, headers } = await get('/health', { host: 'prometheus.example' });
    expect([status, headers['access-control-allow-origin']]).toEqual([200, undefined]);
    expect((await send('OPTIONS', '/health')).status).toBe(405);
    expect((await send('OPTIONS', '/metrics')).status).toBe(200);
  });

  // As etcd 3.7.3 answers them.
  it.each([
    ['//health', '/health'],
    ['/./health', '/health'],
    ['/../health', '/health'],
    ['/a/../health', '/health'],
    ['//health/', '/health/'],
    ['/livez/./serializable_read', '/livez/serializable_read'],
    ['//nothing', '/nothing'],
    ['//', '/'],
    ['/health/..', '/'],
    ['//"><script>', '/%22%3E%3Cscript%3E'],
  ])('redirects %s to %s', async (path, location) => {
    const { handler } = setUp();
    const ask = async (method: string) => {
      const query = new URLSearchParams('serializable=true&x=1');
      const got = await handler({ ...requestOf(method, '/'), path, query });
      return { ...got, body: got.body.toString() };
    };
    const type = 'text/html; charset=utf-8';
    const to = `${location}?serializable=true&x=1`;
    expect(await ask('GET')).toMatchObject({
      status: 307,
      headers: { location: to, 'content-type': type },
      body: `<a href="${to.replace('&', '&amp;')}">Temporary Redirect</a>.\n\n`,
    });
    const post = await ask('POST');
    expect(post).toMatchObject({ status: 307, headers: { location: to }, body: '' });
    expect(post.headers['content-type']).toBeUndefined();
  });

  it.each([
    ['/%68ealth', 200],
    ['/%2fhealth', 404],
    ['/health%2f', 404],
    ['/health/', 404],
    ['/HEALTH', 404],
    ['/%zz', 400],
  ])('%s is %i', async (path, status) => {
    const { handler } = setUp();
    expect((await handler({ ...requestOf('GET', '/'), path })).status).toBe(status);
  });
});

describe('browsers', () => {
  it('get CORS headers for every origin by default, and OPTIONS is 200', async () => {
    const { get, send } = setUp();
    const expected = {
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'POST, GET, OPTIONS, PUT, DELETE',
      'access-control-allow-headers': 'accept, content-type, authorization',
    };
    expect((await get('/version')).headers).toMatchObject(expected);
    expect(await send('OPTIONS', '/v3/kv/put')).toMatchObject({ status: 200, headers: expected });
    expect((await get('/nope')).headers).toMatchObject(expected);
  });

  it('get them only for listed origins with --cors', async () => {
    const { get } = setUp({}, { cors: ['https://a.example'] });
    const name = 'access-control-allow-origin';
    expect((await get('/version', { origin: 'https://a.example' })).headers[name]).toBe(
      'https://a.example',
    );
    expect((await get('/version', { origin: 'https://b.example' })).headers[name]).toBeUndefined();
    expect((await get('/version')).headers[name]).toBeUndefined();
  });

  it.each([
    ['evil.example:2379', 421],
    ['good.example:2379', 200],
    ['good.example', 200],
    ['[::1]:2379', 200],
    ['', 421],
  ])('Host %s answers %i with --host-whitelist (L-49, CVE-2018-5702)', async (host, status) => {
    const { get } = setUp({}, { hostWhitelist: ['good.example', '::1'] });
    expect((await get('/version', { host })).status).toBe(status);
  });

  it('may use any Host over TLS', async () => {
    const port = { secure: true, metricsOnly: false };
    const { get } = setUp({}, { hostWhitelist: ['good.example'] }, port);
    expect((await get('/version', { host: 'evil.example' })).status).toBe(200);
  });
});
