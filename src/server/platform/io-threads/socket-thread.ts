/**
 * The program of a thread with sockets (--io-threads): it accepts, does TLS, reads and writes. What
 * the bytes mean is the core's.
 */

import { parentPort, workerData } from 'node:worker_threads';
import type { Listener, NetworkAddress } from '../../../common/index.js';
import { listenHere } from '../network-node.js';
import type { FromThread, ListenFailure, ThreadStart, ToThread } from './control.js';
import { DoorbellButton, Sleeper } from './doorbell.js';
import { PendingDenials, RemoteTls } from './remote-tls.js';
import { RingReader } from './ring.js';
import { SocketHost } from './socket-host.js';

const start = workerData as ThreadStart;
const host = new SocketHost(
  new RingReader(start.toThread),
  start.toCore,
  new DoorbellButton(start.coreBell),
);
new Sleeper(start.threadBell, () => host.work());

const post = (message: FromThread): void => parentPort?.postMessage(message);
const denials = new PendingDenials(post);
const listeners = new Map<number, Listener>();
const tlsOf = new Map<number, RemoteTls>();

parentPort?.on('message', (message: ToThread) => {
  switch (message.type) {
    case 'listen':
      void listen(message);
      break;
    case 'close':
      void close(message.listener);
      break;
    case 'stop':
      host.work();
      post({ type: 'stopped' });
      break;
    case 'tls':
      tlsOf.get(message.listener)?.answered(message.tls);
      break;
    case 'denial':
      denials.answered(message.question, message.denial);
      break;
  }
});

async function listen(order: Extract<ToThread, { readonly type: 'listen' }>): Promise<void> {
  const { listener, sharesPort, tls: plain } = order;
  try {
    const tls = plain === undefined ? undefined : new RemoteTls(listener, plain, post, denials);
    if (tls !== undefined) tlsOf.set(listener, tls);
    const opened = await listenHere(
      order.address,
      tls?.options(order.asksTls),
      (stream) => host.open(listener, stream),
      { reusePort: sharesPort },
    );
    listeners.set(listener, opened);
    const address: NetworkAddress = opened.address;
    post({ type: 'listens', listener, address });
  } catch (error) {
    post({ type: 'failed', listener, error: failureOf(error) });
  }
}

function failureOf(error: unknown): ListenFailure {
  const message = error instanceof Error ? error.message : String(error);
  const { address, code, port, syscall } = error as Partial<ListenFailure>;
  return JSON.parse(JSON.stringify({ address, code, message, port, syscall }));
}

async function close(listener: number): Promise<void> {
  // Handshakes that are under way still ask.
  await listeners.get(listener)?.close();
  listeners.delete(listener);
  post({ type: 'closed', listener });
}
