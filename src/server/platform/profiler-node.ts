/**
 * The Profiler port over node:inspector, which is loaded with it: a server without --enable-pprof
 * has none of it. The heap is sampled from the start on, as Go's is; the CPU when somebody asks.
 */

import type { Session } from 'node:inspector/promises';
import { type CpuProfile, onAbort, type Profiler } from '../../common/index.js';
import { nodeClock } from './clock-node.js';
import type { HeapProfile } from './pprof.js';

/** Go's: 100 samples a second, and one each 512 KiB that are allocated. */
const cpuIntervalMicros = 10_000;
const heapIntervalBytes = 512 * 1024;

/** Begins to sample the heap. */
export function createProfiler(): Profiler {
  return new InspectorProfiler();
}

class InspectorProfiler implements Profiler {
  readonly #session = openSession();
  #cpu: CpuProfile | undefined;
  #isHeapBusy = false;
  #closed = false;

  constructor() {
    this.#session.catch(() => {}); // whoever asks for a profile is told
  }

  startCpu(seconds: number): CpuProfile | undefined {
    if (this.#cpu !== undefined || this.#closed) return undefined;
    const giveUp = new AbortController();
    const done = this.#takeCpu(seconds, giveUp.signal).finally(() => {
      this.#cpu = undefined;
    });
    done.catch(() => {}); // whoever asked may have gone
    this.#cpu = { done, cancel: () => giveUp.abort(new Error('the profile was given up')) };
    return this.#cpu;
  }

  heap(collect: boolean): Promise<Uint8Array> | undefined {
    if (this.#isHeapBusy || this.#closed) return undefined;
    this.#isHeapBusy = true;
    return this.#takeHeap(collect).finally(() => {
      this.#isHeapBusy = false;
    });
  }

  close(): void {
    this.#closed = true;
    const cpu = this.#cpu;
    cpu?.cancel();
    void (cpu?.done ?? Promise.resolve())
      .catch(() => {})
      .then(async () => (await this.#session).disconnect())
      .catch(() => {});
  }

  async #takeCpu(seconds: number, signal: AbortSignal): Promise<Uint8Array> {
    const session = await this.#session;
    const startMs = nodeClock.wallMs();
    await session.post('Profiler.start');
    let profile: Parameters<typeof encode.encodeCpu>[0];
    const encode = await import('./pprof.js');
    try {
      await passed(seconds * 1000, signal);
    } finally {
      ({ profile } = await session.post('Profiler.stop'));
    }
    return encode.encodeCpu(profile, cpuIntervalMicros, startMs);
  }

  async #takeHeap(collect: boolean): Promise<Uint8Array> {
    const session = await this.#session;
    if (collect) await session.post('HeapProfiler.collectGarbage');
    const { profile } = await session.post('HeapProfiler.getSamplingProfile');
    const { encodeHeap } = await import('./pprof.js');
    return encodeHeap(profile as unknown as HeapProfile, heapIntervalBytes, nodeClock.wallMs());
  }
}

async function openSession(): Promise<Session> {
  const inspector = await import('node:inspector/promises');
  const session = new inspector.Session();
  session.connect();
  await session.post('HeapProfiler.enable');
  await session.post('HeapProfiler.startSampling', { samplingInterval: heapIntervalBytes });
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: cpuIntervalMicros });
  return session;
}

/** Rejects with the reason of `signal` if that aborts first. */
function passed(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const timer = nodeClock.after(ms, () => {
      takeBack();
      resolve();
    });
    const takeBack = onAbort(signal, () => {
      timer.cancel();
      reject(signal.reason);
    });
  });
}
