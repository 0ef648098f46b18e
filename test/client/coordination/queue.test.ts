import { expect, it } from 'vitest';
import { json, priorityQueue, queue, text } from '../../../src/client/index.js';
import { describeTargets } from '../target.js';

describeTargets('queue', {}, (target) => {
  it('hands out each entry once, first in, first out', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(json<number>());
    const jobs = queue(kv, 'jobs');
    expect(await jobs.tryTake()).toBeUndefined();
    for (let i = 0; i < 5; i += 1) await jobs.put(i);
    expect(await jobs.size()).toBe(5);
    const taken: number[] = [];
    for (let i = 0; i < 5; i += 1) taken.push((await jobs.take()).value);
    expect(taken).toEqual([0, 1, 2, 3, 4]);
    expect(await jobs.size()).toBe(0);
  });

  it('many take what many put, none twice', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(json<number>());
    const jobs = queue(kv, 'jobs');
    const end = new AbortController();
    const taken: number[] = [];
    const takers = Array.from({ length: 4 }, async () => {
      for await (const { value } of jobs.entries({ signal: end.signal })) {
        taken.push(value);
        if (taken.length === 60) end.abort();
      }
    });
    await Promise.all(
      [0, 20, 40].map(async (from) => {
        for (let i = from; i < from + 20; i += 1) await jobs.put(i);
      }),
    );
    await Promise.all(takers);
    expect(taken.sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, i) => i));
  });

  it('waits for an entry, as long as it is told to', async () => {
    const client = target.client();
    const jobs = queue(client.kv.namespace(target.prefix()).as(text), 'jobs');
    await expect(jobs.take({ timeoutMs: 30 })).rejects.toMatchObject({ reason: 'CALL_TIMEOUT' });
    const waiting = jobs.take();
    const { key, revision } = await jobs.put('late');
    expect(await waiting).toEqual({ key, revision, value: 'late' });
    const closing = jobs.take();
    closing.catch(() => undefined);
    await client.close();
    await expect(closing).rejects.toMatchObject({ reason: 'CLOSED' });
  });
});

describeTargets('priority queue', {}, (target) => {
  it('hands out lower numbers first, and equals in the order they came', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(text);
    const jobs = priorityQueue(kv, 'jobs');
    await jobs.put('later', { priority: 500 });
    await jobs.put('soon', { priority: 2 });
    await jobs.put('soon too', { priority: 2 });
    await jobs.put('now', { priority: 0 });
    await jobs.put('last', { priority: 65_535 });
    const taken: string[] = [];
    for (let i = 0; i < 5; i += 1) taken.push((await jobs.take()).value);
    expect(taken).toEqual(['now', 'soon', 'soon too', 'later', 'last']);
    await expect(jobs.put('x', { priority: 65_536 })).rejects.toMatchObject({
      reason: 'INVALID_OPTION',
    });
  });

  it('keeps all entries of many who put at once', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(text);
    const jobs = priorityQueue(kv, 'jobs');
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => jobs.put(`job ${i}`, { priority: i % 2 })),
    );
    const taken = new Set<string>();
    for (let i = 0; i < 20; i += 1) taken.add((await jobs.take()).value);
    expect(taken.size).toBe(20);
  });
});
