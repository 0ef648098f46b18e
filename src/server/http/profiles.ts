/**
 * /debug/pprof/ (--enable-pprof): CPU and heap profiles where `go tool pprof` looks for them, in
 * its format. The other kinds are Go's own, of goroutines and threads. One of each kind is taken at
 * a time, and a CPU profile takes its time at most (limits.ts).
 */

import { type CpuProfile, cpuProfileSecondsMax, type Profiler } from '../../common/index.js';
import type { HttpRequest, HttpResponse } from '../../transport/index.js';

/** Go's, for a request that does not say. */
const cpuSecondsDefault = 30;

const index = `<html>
<head>
<title>/debug/pprof/</title>
</head>
<body>
/debug/pprof/
<br>
<p>Types of profiles available:</p>
<ul>
<li><a href='heap'>heap</a>: what is in use of the memory that was allocated since the server \
started, from samples; gc=1 collects garbage first</li>
<li><a href='profile'>profile</a>: where CPU time goes, for seconds=30</li>
</ul>
<p>go tool pprof reads both; nothing else is taken of a server in JavaScript.</p>
</body>
</html>
`;

/** Answers /debug/pprof, and a path below it. */
export async function answerProfiles(
  profiler: Profiler,
  request: HttpRequest,
  path: string,
): Promise<HttpResponse> {
  if (path === '/debug/pprof') {
    return { status: 307, headers: { ...safe, location: '/debug/pprof/' }, body: '' };
  }
  switch (path.slice('/debug/pprof/'.length)) {
    case '':
      return {
        status: 200,
        headers: { ...safe, 'content-type': 'text/html; charset=utf-8' },
        body: index,
      };
    case 'profile':
      return cpu(profiler, request);
    case 'heap':
      return heap(profiler, request);
    default:
      return problem(404, 'Unknown profile');
  }
}

function cpu(profiler: Profiler, { query }: HttpRequest): HttpResponse {
  const seconds = secondsOf(query.get('seconds'));
  if (seconds > cpuProfileSecondsMax) {
    return problem(400, `a profile may take ${cpuProfileSecondsMax} seconds`);
  }
  const profile = profiler.startCpu(seconds);
  if (profile === undefined) {
    return problem(500, 'Could not enable CPU profiling: cpu profiling already in use');
  }
  return { status: 200, headers: attachment('profile'), body: whenDone(profile) };
}

async function heap(profiler: Profiler, { query }: HttpRequest): Promise<HttpResponse> {
  // As Go: any whole number but 0.
  const collect = /^[+-]?\d+$/.test(query.get('gc') ?? '') && Number(query.get('gc')) > 0;
  const profile = profiler.heap(collect);
  if (profile === undefined) {
    return problem(500, 'Could not take a heap profile: another one is being made');
  }
  return { status: 200, headers: attachment('heap'), body: await profile };
}

/** As Go: what is no number above 0 counts as not given. */
function secondsOf(text: string | null): number {
  const seconds = /^\+?\d+$/.test(text ?? '') ? Number(text) : 0;
  return seconds > 0 ? seconds : cpuSecondsDefault;
}

/** Whoever asked may go away before the time is over: then nobody needs it. */
function whenDone({ cancel, done }: CpuProfile): AsyncIterable<Uint8Array> {
  let isTold = false;
  const iterator: AsyncIterator<Uint8Array> = {
    async next() {
      if (isTold) return { done: true, value: undefined };
      isTold = true;
      return { done: false, value: await done };
    },
    async return() {
      cancel();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

const safe = { 'x-content-type-options': 'nosniff' };

function attachment(name: string): Record<string, string> {
  return {
    ...safe,
    'content-type': 'application/octet-stream',
    'content-disposition': `attachment; filename="${name}"`,
  };
}

function problem(status: number, text: string): HttpResponse {
  const headers = { ...safe, 'content-type': 'text/plain; charset=utf-8', 'x-go-pprof': '1' };
  return { status, headers, body: `${text}\n` };
}
