/** What each thread of a process ran (Linux, /proc/PID/task/TID/schedstat: nanoseconds). */

import { readdirSync, readFileSync } from 'node:fs';

/** Seconds of CPU. */
export interface ThreadTimes {
  /** The main thread: Raft, apply, index, fan-out. */
  readonly core: number;
  /** The threads with sockets. */
  readonly sockets: number;
  /** V8's helpers, files, LevelDB. */
  readonly others: number;
}

export function threadTimes(pid: number, socketThreads: readonly number[]): ThreadTimes {
  const times = { core: 0, sockets: 0, others: 0 };
  for (const name of readdirSync(`/proc/${pid}/task`)) {
    const thread = Number(name);
    const hasSockets = socketThreads.includes(thread) || nameOf(pid, name) === socketsName;
    const kind = thread === pid ? 'core' : hasSockets ? 'sockets' : 'others';
    times[kind] += secondsOf(pid, name);
  }
  return times;
}

/** Node.js 24 and later tell Linux the names of workers. */
const socketsName = 'sockets';

function nameOf(pid: number, thread: string): string {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').trim();
  } catch {
    return ''; // it has ended
  }
}

function secondsOf(pid: number, thread: string): number {
  try {
    const [ns = '0'] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ');
    return Number(ns) / 1e9;
  } catch {
    return 0; // it has ended
  }
}
