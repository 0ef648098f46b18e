import { expect, it } from 'vitest';
import {
  bytes,
  type LiveService,
  openSession,
  registry,
  type ServiceSnapshot,
  type StandardSchema,
} from '../../../src/client/index.js';
import { eventually } from '../../helpers/eventually.js';
import { startProxy } from '../proxy.js';
import { describeTargets, everywhere } from '../target.js';

const ids = (snapshot: ServiceSnapshot<unknown>) => snapshot.instances.map(({ id }) => id);

function sees(live: LiveService<unknown>, ...expected: string[]) {
  return eventually(
    () => (ids(live.current).join() === expected.join() ? live.current : undefined),
    `${expected} (now ${ids(live.current)})`,
  );
}

interface Place {
  readonly zone: string;
  readonly weight: number;
}

/** As zod and others make them: a default for the weight. */
const place: StandardSchema<{ readonly zone: string; readonly weight?: number }, Place> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => {
      const { zone, weight = 1 } = (value ?? {}) as { zone?: unknown; weight?: unknown };
      if (typeof zone !== 'string') return { issues: [{ message: 'zone is missing' }] };
      return { value: { zone, weight: Number(weight) } };
    },
  },
};

describeTargets('registry', { targets: everywhere }, (target) => {
  it('registers, updates and removes, in the JSON of Go', async () => {
    const client = target.client();
    const view = client.kv.namespace(target.prefix()).as(bytes);
    const services = registry(client, { view, metadata: place });
    const pay = await services.register({
      service: 'pay',
      id: 'a',
      address: '10.0.0.1:1',
      metadata: { zone: 'z1' },
    });
    expect(pay.state).toBe('registered');
    const stored = await view.get('pay/a');
    expect(JSON.parse(String(stored?.value))).toEqual({
      Op: 0,
      Addr: '10.0.0.1:1',
      Metadata: { zone: 'z1' },
    });
    await pay.update({ address: '10.0.0.1:2' });
    await pay.update({ metadata: { zone: 'z2', weight: 5 } });
    const { instances } = await services.list('pay');
    expect(instances).toMatchObject([
      { service: 'pay', id: 'a', address: '10.0.0.1:2', metadata: { zone: 'z2', weight: 5 } },
    ]);
    expect(instances[0]?.lease).toBe(stored?.lease);
    const leases = await client.leases.list();
    expect(leases).toContain(stored?.lease);
    await pay.close();
    expect(pay.state).toBe('closed');
    expect((await services.list('pay')).instances).toEqual([]);
    expect(await client.leases.list()).not.toContain(stored?.lease);
    await expect(pay.update({ address: 'x:1' })).rejects.toMatchObject({ reason: 'CLOSED' });
  });

  it('is a live list for any number of readers', async () => {
    const client = target.client();
    const services = registry(client, { view: client.kv.namespace(target.prefix()) });
    await using live = services.watch('pay');
    expect(live.current).toMatchObject({ revision: 0, instances: [] });
    expect(ids(await live.ready)).toEqual([]);
    const seen: string[][] = [];
    const reading = (async () => {
      for await (const snapshot of live) seen.push(ids(snapshot));
    })();
    const a = await services.register({ service: 'pay', id: 'a', address: 'h:1' });
    await sees(live, 'a');
    await using _b = await services.register({ service: 'pay', id: 'b', address: 'h:2' });
    // Services whose names begin alike are others.
    await using _c = await services.register({ service: 'payments', id: 'c', address: 'h:3' });
    await sees(live, 'a', 'b');
    await a.close();
    const last = await sees(live, 'b');
    for await (const snapshot of live) {
      expect(snapshot).toBe(last);
      break;
    }
    await live.close();
    await reading;
    expect(seen[0]).toEqual([]);
    expect(seen.at(-1)).toEqual(['b']);
  });

  it('an entry that is not of the form is reported, and the others are there', async () => {
    const client = target.client();
    const view = client.kv.namespace(target.prefix());
    const services = registry(client, { view, metadata: place });
    await view.put('pay/broken', '{');
    await view.put('pay/list', '[]');
    await view.put('pay/other', '{"Op":0,"Addr":"h:1","Metadata":{}}');
    await view.put('pay/small', '{"addr":"h:2","metadata":{"zone":"z"}}');
    const found = await services.list('pay');
    expect(found.instances).toMatchObject([
      { id: 'small', address: 'h:2', metadata: { zone: 'z', weight: 1 } },
    ]);
    expect(found.invalid.map(({ id }) => id).sort()).toEqual(['broken', 'list', 'other']);
    expect(found.invalid[0]?.error.reason).toBe('DECODE_FAILED');
    const bad = services.register({
      service: 'pay',
      id: 'x',
      address: 'h:1',
      metadata: {} as { zone: string },
    });
    await expect(bad).rejects.toMatchObject({ reason: 'ENCODE_FAILED' });
    expect(await view.exists('pay/x')).toBe(false);
  });

  it('who registers an id again takes it over, unless it is exclusive', async () => {
    const client = target.client();
    const services = registry(client, { view: client.kv.namespace(target.prefix()) });
    const instance = { service: 'pay', id: 'a' };
    const first = await services.register({ ...instance, address: 'h:1' });
    const exclusive = services.register({ ...instance, address: 'h:2', exclusive: true });
    await expect(exclusive).rejects.toMatchObject({ reason: 'CONFLICT' });
    await using second = await services.register({ ...instance, address: 'h:3' });
    await expect(first.update({ address: 'h:4' })).rejects.toMatchObject({ reason: 'NOT_OWNER' });
    // The end of the first is not the end of the second.
    await first.close();
    expect((await services.list('pay')).instances).toMatchObject([{ address: 'h:3' }]);
    expect(second.state).toBe('registered');
  });

  it('shares a session, and ends with it', async () => {
    const client = target.client();
    const services = registry(client, { view: client.kv.namespace(target.prefix()) });
    const session = await openSession(client);
    const a = await services.register({ service: 'pay', id: 'a', address: 'h:1', session });
    const b = await services.register({ service: 'pay', id: 'b', address: 'h:2', session });
    await a.close();
    expect(ids(await services.list('pay'))).toEqual(['b']);
    expect(session.state).toBe('alive');
    await session.close();
    expect(b.state).toBe('closed');
    expect(ids(await services.list('pay'))).toEqual([]);
    await b.close();
  });

  it('moleculer#918: registers anew when its lease was lost', async () => {
    const prefix = target.prefix();
    const client = target.client();
    const services = registry(client, { view: client.kv.namespace(prefix) });
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const cutOff = target.client({ endpoints: proxy.endpoint });
    const told: string[] = [];
    const view = cutOff.kv.namespace(prefix);
    const registration = await registry(cutOff, { view }).register({
      service: 'pay',
      id: 'a',
      address: 'h:1',
      ttlSeconds: 2,
      onAway: ({ reason }) => told.push(reason),
      onBack: () => told.push('back'),
    });
    await using live = services.watch('pay');
    await sees(live, 'a');
    await proxy.refuse();
    await sees(live);
    expect(registration.state).toBe('away');
    await registration.update({ address: 'h:2' });
    await proxy.accept();
    const { instances } = await sees(live, 'a');
    expect(instances[0]?.address).toBe('h:2');
    await eventually(() => (told.length === 2 ? true : undefined), 'told');
    expect(told).toEqual(['LEASE_LOST', 'back']);
    await registration.close();
    await sees(live);
    await proxy[Symbol.asyncDispose]();
  });

  it('the list survives a disconnection, and is up to date after it', async () => {
    const prefix = target.prefix();
    const client = target.client();
    const services = registry(client, { view: client.kv.namespace(prefix) });
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const cutOff = target.client({ endpoints: proxy.endpoint });
    await using a = await services.register({ service: 'pay', id: 'a', address: 'h:1' });
    await using live = registry(cutOff, { view: cutOff.kv.namespace(prefix) }).watch('pay');
    await sees(live, 'a');
    await proxy.refuse();
    await using _b = await services.register({ service: 'pay', id: 'b', address: 'h:2' });
    await a.close();
    expect(ids(live.current)).toEqual(['a']);
    const header = (await client.kv.range({ key: 'x' })).revision;
    await client.maintenance.compact(header);
    await proxy.accept();
    await sees(live, 'b');
    await proxy[Symbol.asyncDispose]();
  });

  it('a watch ends with its signal, and with the client', async () => {
    const client = target.client();
    const services = registry(client, { view: client.kv.namespace(target.prefix()) });
    const abort = new AbortController();
    const one = services.watch('pay', { signal: abort.signal });
    const two = services.watch('pay');
    await Promise.all([one.ready, two.ready]);
    const ends = [one, two].map(async (live) => {
      for await (const _ of live);
      return 'ended';
    });
    abort.abort();
    expect(await ends[0]).toBe('ended');
    await client.close();
    expect(await ends[1]).toBe('ended');
    await expect(services.watch('pay').ready).rejects.toMatchObject({ reason: 'CLOSED' });
  });
});
