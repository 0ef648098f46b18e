/** Commands that follow keys: they go on when a server goes away and comes back. */

import { expect, it } from 'vitest';
import { inProcess } from '../helpers/ctl-in-process.js';
import { eventually } from '../helpers/eventually.js';
import { type ServerProcess, useServer } from '../helpers/server.js';
import { describeWith, slow } from '../helpers/tools.js';

/** Longer than any restart on a busy machine. */
const patience = ['--command-timeout=60s', '--dial-timeout=20s'];

async function ctl(server: ServerProcess, ...args: string[]) {
  const at = [...patience, '--endpoints', server.endpoint];
  const done = await inProcess()([...at, ...args], {});
  return { code: done.code, out: done.stdout.toString('utf8'), err: done.stderr };
}

/** A command that runs until it is told to end. */
function running(server: ServerProcess, args: readonly string[]) {
  let out = '';
  let end: () => void = () => {};
  const endWhen = new Promise<void>((resolve) => {
    end = resolve;
  });
  const onOutput = (text: string): void => {
    out = text;
  };
  const at = [...patience, '--endpoints', server.endpoint];
  const done = inProcess()([...at, ...args], { endWhen, onOutput });
  return { done, end, out: () => out };
}

describeWith(['kvorum'], 'while a server restarts', () => {
  const server = useServer('kvorum');

  it('a watch goes on behind what it has told', async () => {
    const watch = running(server(), ['watch', 'a']);
    // The watch begins when it begins: put until it sees one.
    await eventually(async () => {
      await ctl(server(), 'put', 'a', 'first');
      return watch.out().includes('first') ? true : undefined;
    }, 'the first event');
    await server().killAndRestart();
    await ctl(server(), 'put', 'a', 'second');
    await eventually(() => watch.out().includes('second') || undefined, 'the second event');
    watch.end();
    expect((await watch.done).stderr).toBe('');
    const values = watch.out().match(/first|second/g) ?? [];
    const { out } = await ctl(server(), 'get', 'a', '-w', 'json');
    // Each event once: as many as the key has versions.
    expect(values).toHaveLength(Number(/"version":(\d+)/.exec(out)?.[1]));
    expect(values.filter((value) => value === 'second')).toHaveLength(1);
  });

  it('a lease is renewed all the same', async () => {
    const granted = await ctl(server(), 'lease', 'grant', '600');
    const id = /lease ([0-9a-f]+) granted/.exec(granted.out)?.[1] ?? '';
    const kept = running(server(), ['lease', 'keep-alive', id]);
    await eventually(() => kept.out().includes('keepalived') || undefined, 'the first answer');
    await server().killAndRestart();
    await eventually(
      () => (kept.out().split('keepalived').length > 2 ? true : undefined),
      'an answer of the server that came back',
    );
    await ctl(server(), 'lease', 'revoke', id);
    kept.end();
    expect((await kept.done).stderr).toBe('');
  });
});

describeWith(['kvorum'], 'make-mirror', () => {
  const source = useServer('kvorum');
  const target = useServer('kvorum');

  it('copies what is there, and then each change, under another prefix', async () => {
    await ctl(source(), 'put', 'p/old', '1');
    await ctl(source(), 'put', 'q', 'not of the prefix');
    const there = target().endpoint;
    const mirror = running(source(), [
      ...['make-mirror', there, '--prefix', 'p/', '--dest-prefix', 'm/'],
    ]);
    const mirrored = async (): Promise<string> => (await ctl(target(), 'get', '', '--prefix')).out;
    await eventually(async () => (await mirrored()) === 'm/old\n1\n' || undefined, 'the copy');
    await ctl(source(), 'put', 'p/new', '2');
    await ctl(source(), 'del', 'p/old');
    await eventually(async () => (await mirrored()) === 'm/new\n2\n' || undefined, 'the changes');
    mirror.end();
    expect(await mirror.done).toMatchObject({ code: -1, stderr: '' });
  });

  it('keeps what is one transaction in one', async () => {
    const mirror = running(source(), ['make-mirror', target().endpoint, '--prefix', 't/']);
    await ctl(source(), 'put', 't/0', 'begin');
    const mirrored = (...more: string[]) => ctl(target(), 'get', 't/', '--prefix', ...more);
    await eventually(async () => (await mirrored()).out.includes('begin') || undefined, 'the copy');
    const stdin = '\nput t/1 x\nput t/2 x\n\n\n';
    await inProcess()(['--endpoints', source().endpoint, 'txn'], { stdin });
    await eventually(async () => (await mirrored()).out.includes('t/2') || undefined, 'the txn');
    const { out } = await mirrored('-w', 'json');
    const revisions = [...out.matchAll(/"mod_revision":(\d+)/g)].map(([, text]) => Number(text));
    expect(revisions[1]).toBe(revisions[2]);
    expect(revisions[0]).not.toBe(revisions[1]);
    mirror.end();
    await mirror.done;
  });
});

describeWith(['kvorum'], 'check datascale', () => {
  const server = useServer('kvorum');

  const skipped = slow ? '' : ' (skipped: ten thousand puts, KVORUM_SLOW=1 does them)';

  it.skipIf(!slow)(`puts, measures, and leaves nothing behind${skipped}`, async () => {
    const done = await ctl(server(), 'check', 'datascale', '--auto-compact', '--auto-defrag');
    expect(done).toMatchObject({ code: 0, err: '' });
    expect(done.out).toMatch(/^Start data scale check for work load \[10000 key-value pairs, /);
    expect(done.out).toMatch(/\nCompacted with revision \d+\nDefragmenting /);
    expect(done.out).toMatch(/\nPASS: Approximate system memory used : -?\d+\.\d\d MB\.\n$/);
    expect((await ctl(server(), 'get', '', '--prefix', '--keys-only')).out).toBe('');
  });
});
