/**
 * What waking a thread that sleeps in its event loop costs: by a message of a port, and by
 * Atomics.notify for an Atomics.waitAsync (docs/adr/0013-io-threads.md).
 *
 *     npm run build && node dist/bench/experiments/io-threads/wake.js
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import {
  DoorbellButton,
  makeDoorbell,
  Sleeper,
} from '../../../src/server/platform/io-threads/doorbell.js';

/** What the other thread is started with; undefined: it is asked by messages. */
type Bells = { readonly here: SharedArrayBuffer; readonly there: SharedArrayBuffer } | undefined;

const forLong = 2 ** 30;
/** The Sleeper looks twice before it sleeps: one ring is answered once. */
const answered = new WeakMap<SharedArrayBuffer, number>();

if (isMainThread) {
  for (const pauseMs of [0, 2]) {
    await measure('message', undefined, pauseMs);
    await measure('notify', { here: makeDoorbell(), there: makeDoorbell() }, pauseMs);
  }
} else {
  const bells = workerData as Bells;
  if (bells === undefined) {
    parentPort?.on('message', () => parentPort?.postMessage(0));
  } else {
    setInterval(() => {}, forLong);
    answerBells(bells);
  }
  parentPort?.postMessage('up');
}

/** Rings back whenever it has been rung, and sleeps again at once. */
function answerBells({ here, there }: NonNullable<Bells>): void {
  const button = new DoorbellButton(here);
  let isFirst = true;
  new Sleeper(there, () => {
    if (!isFirst && takeRing(there)) button.press();
    isFirst = false;
    return false;
  });
}

function takeRing(bell: SharedArrayBuffer): boolean {
  const count = Atomics.load(new Int32Array(bell), 0);
  if (answered.get(bell) === count) return false;
  answered.set(bell, count);
  return count > 0;
}

async function measure(name: string, bells: Bells, pauseMs: number): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), { workerData: bells });
  await new Promise((resolve) => worker.once('message', resolve));
  const keep = setInterval(() => {}, forLong);
  let done = (): void => {};
  let ask = (): void => worker.postMessage(0);
  if (bells === undefined) worker.on('message', () => done());
  else {
    const button = new DoorbellButton(bells.there);
    ask = () => button.press();
    new Sleeper(bells.here, () => {
      if (takeRing(bells.here)) done();
      return false;
    });
    await sleep(50); // until both sleep
  }
  const tookUs: number[] = [];
  const rounds = pauseMs > 0 ? 1000 : 30_000;
  for (let i = -500; i < rounds; i += 1) {
    if (pauseMs > 0) await sleep(pauseMs);
    const startMs = performance.now();
    await new Promise<void>((resolve) => {
      done = resolve;
      ask();
    });
    if (i >= 0) tookUs.push((performance.now() - startMs) * 1000);
  }
  tookUs.sort((a, b) => a - b);
  const at = (share: number): string => (tookUs[Math.floor(tookUs.length * share)] ?? 0).toFixed(1);
  console.log(`${name}, ${pauseMs} ms between: there and back ${at(0.5)} us, 90 % ${at(0.9)} us`);
  clearInterval(keep);
  await worker.terminate();
}
