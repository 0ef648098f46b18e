/** Go's `naming/endpoints` and `naming/resolver` of etcd: ours find theirs, and theirs ours. */

import { expect, it } from 'vitest';
import { registry } from '../../../src/client/index.js';
import { eventually } from '../../helpers/eventually.js';
import { describeWith, toolPath } from '../../helpers/tools.js';
import { type Child, startChild } from '../coordination/child.js';
import { describeTargets } from '../target.js';

describeWith(['go-recipes'], 'with Go', () => {
  describeTargets('naming', {}, (target) => {
    const go = (...args: string[]): Child =>
      startChild(toolPath('go-recipes'), [target.server().endpoints[0] ?? '', ...args]);

    it('our list has what Go registers', async () => {
      const client = target.client();
      const service = `${target.prefix()}pay`;
      const services = registry<{ zone: string } | null>(client);
      await using live = services.watch(service);
      const theirs = go('register', service, 'go', '10.1.1.1:80', '{"zone":"a","ports":[1,2]}');
      await theirs.line(/^registered/);
      await eventually(() => (live.current.instances.length === 1 ? true : undefined), 'seen');
      expect(live.current.instances).toMatchObject([
        { id: 'go', address: '10.1.1.1:80', metadata: { zone: 'a', ports: [1, 2] } },
      ]);
      const plain = go('register', service, 'plain', '10.1.1.2:80');
      await plain.line(/^registered/);
      await eventually(() => (live.current.instances.length === 2 ? true : undefined), 'seen');
      expect(live.current.instances[1]?.metadata).toBeNull();
      theirs.write('\n');
      plain.write('\n');
      await eventually(() => (live.current.instances.length === 0 ? true : undefined), 'gone');
      expect([await theirs.exited, await plain.exited]).toEqual([0, 0]);
    });

    it("Go's list and resolver have what we register", async () => {
      const client = target.client();
      const service = `${target.prefix().slice(1)}pay`;
      const services = registry<{ zone: string } | undefined>(client);
      const metadata = { zone: 'a' };
      const one = await services.register({ service, id: 'one', address: '10.0.0.1:80', metadata });
      const resolving = go('resolve', service);
      await resolving.line(/^addresses 10\.0\.0\.1:80$/);
      const two = await services.register({ service, id: 'two', address: '10.0.0.2:80' });
      await resolving.line(/^addresses 10\.0\.0\.1:80,10\.0\.0\.2:80$/);
      const listed = await go('list', service).line(/^endpoints/);
      expect(JSON.parse(listed.slice('endpoints '.length))).toEqual({
        [`${service}/one`]: { Addr: '10.0.0.1:80', Metadata: { zone: 'a' } },
        [`${service}/two`]: { Addr: '10.0.0.2:80', Metadata: null },
      });
      await one.close();
      await resolving.line(/^addresses 10\.0\.0\.2:80$/);
      await two.close();
      await resolving.line(/^addresses $/);
      resolving.write('\n');
      expect(await resolving.exited).toBe(0);
    });
  });
});
