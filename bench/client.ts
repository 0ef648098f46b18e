/**
 * The client beside `etcd3` of npm, against the same server in the same run:
 *
 *     npm run bench:client -- [endpoint] [calls a round] [callers] [rounds]
 *
 * Closed loop: `callers` calls are always running, on one connection each client. The clients take
 * turns (A B C A B C), so that what else the machine does hits all alike; the median of the rounds
 * counts. Processor time is this process's, so it is the client's alone if the server is another.
 */

import { Etcd3 } from 'etcd3';
import { Etcd, text } from '../src/client/index.js';
import { commandLine, numberOf, wordsOf } from './arguments.js';

/** One client and what it does. */
interface Subject {
  readonly name: string;
  put(key: string, value: string): Promise<unknown>;
  get(key: string): Promise<unknown>;
}

/** One round. */
interface Figures {
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUsPerCall: number;
}

const usage = `usage: npm run bench:client -- [endpoint] [calls a round] [callers] [rounds]
       (127.0.0.1:2379 10000 64 5)
`;
const [endpoint, calls, callers, rounds] = commandLine(usage, (args) => {
  const words = wordsOf(args, 4);
  if (words === undefined) return undefined;
  const [at = '127.0.0.1:2379', perRound, parallel, times] = words;
  return [
    at,
    numberOf('calls a round', perRound, 10_000),
    numberOf('callers', parallel, 64),
    numberOf('rounds', times, 5),
  ] as const;
});
const keys = 1000;

await main();

async function main(): Promise<void> {
  const other = new Etcd3({ hosts: `http://${endpoint}` });
  const clients = (['grpc-js', 'native'] as const).map(
    (transport) => [transport, new Etcd({ endpoints: endpoint, transport })] as const,
  );
  const subjects: readonly Subject[] = [
    {
      name: 'etcd3',
      put: (key, value) => other.put(key).value(value).exec(),
      get: (key) => other.get(key).string(),
    },
    ...clients.map(([transport, client]) => {
      const kv = client.kv.as(text);
      const name = `kvorum/client, ${transport}`;
      return {
        name,
        put: (key: string, value: string) => kv.put(key, value),
        get: (key: string) => kv.get(key),
      };
    }),
  ];
  for (const kind of ['put', 'get'] as const) {
    const figures = new Map<string, Figures[]>(subjects.map(({ name }) => [name, []]));
    for (const subject of subjects) await round(subject, kind, Math.min(calls, 1000));
    for (let i = 0; i < rounds; i += 1) {
      for (const subject of subjects) {
        figures.get(subject.name)?.push(await round(subject, kind, calls));
      }
    }
    print(kind, figures);
  }
  other.close();
  for (const [, client] of clients) await client.close();
}

async function round(subject: Subject, kind: 'put' | 'get', total: number): Promise<Figures> {
  const latenciesMs: number[] = [];
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < total) {
      const key = `bench/client/${next % keys}`;
      next += 1;
      const startedMs = performance.now();
      await (kind === 'put' ? subject.put(key, 'v'.repeat(64)) : subject.get(key));
      latenciesMs.push(performance.now() - startedMs);
    }
  };
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: callers }, caller));
  const tookMs = performance.now() - startedMs;
  const used = process.cpuUsage(cpu);
  latenciesMs.sort((a, b) => a - b);
  return {
    callsPerSecond: (total / tookMs) * 1000,
    p50Ms: latenciesMs[Math.floor(total * 0.5)] ?? 0,
    p99Ms: latenciesMs[Math.floor(total * 0.99)] ?? 0,
    cpuUsPerCall: (used.user + used.system) / total,
  };
}

function print(kind: string, figures: ReadonlyMap<string, readonly Figures[]>): void {
  const middle = (of: readonly Figures[], pick: (each: Figures) => number): number => {
    const sorted = of.map(pick).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] ?? 0;
  };
  const lines = [...figures].map(([name, of]) => {
    const [perSecond, p50, p99, cpu] = [
      middle(of, (each) => each.callsPerSecond).toFixed(0),
      middle(of, (each) => each.p50Ms).toFixed(2),
      middle(of, (each) => each.p99Ms).toFixed(2),
      middle(of, (each) => each.cpuUsPerCall).toFixed(0),
    ];
    return `${kind} ${name.padEnd(24)} ${perSecond.padStart(7)}/s  p50 ${p50.padStart(6)} ms  p99 ${p99.padStart(6)} ms  ${cpu.padStart(4)} us of processor`;
  });
  process.stdout.write(`${lines.join('\n')}\n`);
}
