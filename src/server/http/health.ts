/**
 * What /health, /livez and /readyz answer, as etcd does (C-9.3, C-9.4): probes in deployments
 * match on these bodies. A check asks the server; nothing here knows HTTP beyond query parameters.
 */

import type { MemberId } from '../../common/index.js';

/** What the checks ask the server. */
export interface HealthSource {
  /** 0n: none known. */
  leaderId(): MemberId;
  isLearner(): boolean;
  /** Names of the active alarms: 'NOSPACE', 'CORRUPT'; anything else counts as unknown. */
  alarms(): readonly string[];
  /** Resolves with what went wrong, if anything; gives up by itself after the request timeout. */
  linearizableRead(): Promise<Error | undefined>;
  serializableRead(): Promise<Error | undefined>;
}

/** Told about each result, for metrics. */
export interface HealthObserver {
  /** A whole /health request. */
  health(healthy: boolean): void;
  /** One check of /livez or /readyz. */
  check(type: 'livez' | 'readyz', name: string, healthy: boolean): void;
}

/** The answer to one health request. */
export interface HealthAnswer {
  readonly healthy: boolean;
  readonly body: string;
}

/** The reason goes out as JSON of etcd's shape; `health` is a string, not a boolean. */
export async function answerHealth(
  source: HealthSource,
  query: URLSearchParams,
): Promise<HealthAnswer> {
  const reason = await healthProblem(source, query);
  const healthy = reason === '';
  return { healthy, body: JSON.stringify({ health: String(healthy), reason }) };
}

async function healthProblem(source: HealthSource, query: URLSearchParams): Promise<string> {
  const excluded = new Set(query.getAll('exclude'));
  const serializable = query.get('serializable') === 'true';
  for (const alarm of source.alarms()) {
    if (excluded.has(alarm)) continue;
    return `ALARM ${alarm === 'NOSPACE' || alarm === 'CORRUPT' ? alarm : 'UNKNOWN'}`;
  }
  if (!serializable && source.leaderId() === 0n) return 'RAFT NO LEADER';
  const error = await (serializable ? source.serializableRead() : source.linearizableRead());
  return error === undefined ? '' : `RANGE ERROR:${error.message}`;
}

type Check = (source: HealthSource) => Promise<string | undefined>;

const serializableRead: Check = async (source) => {
  const error = await source.serializableRead();
  return error === undefined ? undefined : `range error: ${error.message}`;
};

const linearizableRead: Check = async (source) => {
  const error = await source.linearizableRead();
  return error === undefined ? undefined : `range error: ${error.message}`;
};

const dataCorruption: Check = async (source) =>
  source.alarms().includes('CORRUPT') ? 'alarm activated: CORRUPT' : undefined;

const nonLearner: Check = async (source) =>
  source.isLearner() ? 'local member is learner' : undefined;

const checksOf: Readonly<Record<'livez' | 'readyz', ReadonlyMap<string, Check>>> = {
  livez: new Map([['serializable_read', serializableRead]]),
  readyz: new Map([
    ['data_corruption', dataCorruption],
    ['serializable_read', serializableRead],
    ['linearizable_read', linearizableRead],
    ['non_learner', nonLearner],
  ]),
};

/** Whether there is a check of that name. */
export function isCheck(type: 'livez' | 'readyz', name: string): boolean {
  return checksOf[type].has(name);
}

/**
 * All checks of `type`, or the one called `only`, which must be one. Details are in the body when a
 * check failed or `?verbose` asks for them.
 */
export async function answerChecks(
  type: 'livez' | 'readyz',
  only: string | undefined,
  source: HealthSource,
  query: URLSearchParams,
  observer: HealthObserver,
): Promise<HealthAnswer> {
  const checks = checksOf[type];
  const names = only === undefined ? [...checks.keys()] : [only];
  const excluded = new Set(query.getAll('exclude'));
  const problems = await Promise.all(
    names.map((name) => (excluded.has(name) ? undefined : checks.get(name)?.(source))),
  );
  let details = '';
  let healthy = true;
  names.forEach((name, i) => {
    const problem = problems[i];
    if (excluded.has(name)) {
      details += `[+]${name} excluded: ok\n`;
      return;
    }
    observer.check(type, name, problem === undefined);
    if (problem === undefined) details += `[+]${name} ok\n`;
    else {
      details += `[-]${name} failed: ${problem}\n`;
      healthy = false;
    }
  });
  if (!healthy) return { healthy, body: `${details}\n` };
  return { healthy, body: query.has('verbose') ? `${details}ok\n` : 'ok\n' };
}
