/** A whole process: what it owns through sessions keeps it from exiting only while it is open. */

import { expect, it } from 'vitest';
import { exec } from '../../helpers/exec.js';
import { describeWith, repoRoot } from '../../helpers/tools.js';
import { describeTargets } from '../target.js';

describeWith(['kvorum'], 'a process', () => {
  describeTargets('with everything open', {}, (target) => {
    it('that closes its client exits by itself, with nothing unhandled', async () => {
      const source = `
        import {
          Etcd, barrier, config, election, mutex, openSession, queue, registry, text,
        } from 'kvorum/client';
        process.on('unhandledRejection', (error) => {
          console.log('unhandled', error);
          process.exit(3);
        });
        const client = new Etcd('${target.server().endpoints[0]}');
        const kv = client.kv.namespace('${target.prefix()}').as(text);
        const one = await openSession(client);
        const two = await openSession(client);
        const held = await mutex(kv, 'lock').acquire(one);
        held.signal.addEventListener('abort', () => console.log('lost', held.signal.reason.reason));
        const ends = [];
        const ended = (promise) => ends.push(promise.then(() => 'done', (error) => error.reason));
        ended(mutex(kv, 'lock').acquire(two));
        const vote = election(kv, 'leader');
        await vote.campaign(one, 'one');
        ended(vote.campaign(two, 'two'));
        ended((async () => { for await (const _ of vote.observe()); })());
        await barrier(kv, 'gate').hold();
        ended(barrier(kv, 'gate').wait());
        ended(queue(kv, 'queue').take());
        const services = registry(client, { view: client.kv.namespace(kv.prefix) });
        await services.register({ service: 'pay', id: 'a', address: 'h:1' });
        const live = services.watch('pay');
        await live.ready;
        ended((async () => { for await (const _ of live); })());
        const validate = (value) => ({ value });
        const schema = { '~standard': { version: 1, vendor: 'test', validate } };
        const settings = await config(client, { prefix: '${target.prefix()}config', schema });
        ended((async () => { for await (const _ of settings); })());
        await client.close();
        console.log((await Promise.all(ends)).join(' '));
      `;
      const args = ['--input-type=module', '--eval', source];
      const done = await exec(process.execPath, args, { timeoutMs: 100_000, cwd: repoRoot });
      expect(done.stdout.toString() + done.stderr).toBe(
        'lost CLOSED\nCLOSED CLOSED done CLOSED CLOSED done done\n',
      );
      expect(done.code).toBe(0);
    });
  });
});
