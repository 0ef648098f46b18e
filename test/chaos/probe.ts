/**
 * Measures how long the cluster takes no writes: from a fault on, a put every few milliseconds to
 * one of the members that should be there, whatever became of the others before it. The cluster is
 * back when a put that began after the fault has been answered. An open loop: a server that hangs
 * does not slow down the asking.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { tlsOf } from '../../bench/load/identity.js';
import { putRequest } from '../checkers/history.js';
import { settleOperation } from '../workload/outcome.js';
import { toWire } from '../workload/request-codec.js';
import { Connection } from './connection.js';
import type { ChaosMember } from './member.js';
import type { World } from './world.js';

const everyMs = 10;
const timeoutMs = 2000;
const givenUpMs = 30_000;
const path = '/etcdserverpb.KV/Put';

/** Milliseconds from now to the end of the first put that succeeds; undefined: none did. */
export async function timeToFirstWrite(
  world: World,
  members: readonly ChaosMember[],
): Promise<number | undefined> {
  const startMs = performance.now();
  const worker = tlsOf(world.cluster.security?.worker);
  const opened = await Promise.all(
    members.map(({ name, clientPort }) => Connection.open(name, clientPort, worker)),
  );
  const connections = opened.filter((connection) => connection !== undefined);
  let doneMs: number | undefined;
  const open: Array<Promise<void>> = [];
  for (let i = 0; doneMs === undefined && performance.now() - startMs < givenUpMs; i += 1) {
    const connection = connections[i % connections.length];
    if (connection !== undefined) {
      open.push(
        put(world, connection).then((ok) => {
          if (ok) doneMs ??= performance.now();
        }),
      );
    }
    await sleep(everyMs);
  }
  // Those that are still open have their own time limit.
  Promise.all(open).then(() => {
    for (const connection of connections) connection.close();
  });
  return doneMs === undefined ? undefined : doneMs - startMs;
}

/** True if it succeeded. Each one is a client of its own: many are open at once. */
async function put(world: World, connection: Connection): Promise<boolean> {
  const request = putRequest('probe', world.workload.value());
  const { bytes } = toWire(request);
  const { history } = world;
  const id = history.begin(world.clientNumber(), world.nowMs(), request);
  const answer = await connection.call(path, bytes, timeoutMs);
  return settleOperation(history, id, request, answer, world.nowMs()) !== undefined;
}
