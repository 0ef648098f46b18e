/** `endpoint health`: whether each member can commit, and has no alarm. */

import { isEtcdError } from '../../client/index.js';
import { method } from '../../client/raw/index.js';
import { AlarmType, encodeRangeRequest } from '../../proto/index.js';
import { type CommandContext, CommandError, command, nanosecondText } from '../command/index.js';
import { ask, urlOf } from '../connect/index.js';
import { failureText } from '../failure/index.js';
import { fieldLine, print } from '../print/index.js';
import { listShown } from './list-shown.js';
import { alarm } from './rpcs.js';
import { clusterFlag, targetsOf } from './targets.js';

interface Health {
  readonly endpoint: string;
  readonly health: boolean;
  /** A duration as Go writes it; '' where nothing could be asked. */
  readonly took: string;
  /** '' if there is nothing wrong. */
  readonly error: string;
}

export const endpointHealth = command({
  name: 'health',
  short: 'Checks that the endpoints can commit',
  flags: { cluster: clusterFlag },
  async run(context, _args, flags) {
    const endpoints = await targetsOf(context, flags.cluster);
    const all = await Promise.all(endpoints.map((endpoint) => healthOf(context, endpoint)));
    await show(context, all);
    if (all.some(({ error }) => error !== '')) throw new CommandError('unhealthy cluster');
    return undefined;
  },
});

/** Any key will do: to answer, the member has to reach a leader that has a majority. */
const probe = encodeRangeRequest({ key: 'health' });

async function healthOf(context: CommandContext, endpoint: string): Promise<Health> {
  const client = await context.client();
  const { clock } = context.io;
  const timeoutMs = context.global['command-timeout'];
  const startMs = clock.nowMs();
  const leftMs = (): number => Math.max(0, startMs + timeoutMs - clock.nowMs());
  const at = { endpoint: urlOf(endpoint, context.global) };
  let error = '';
  try {
    await client.call(method.range, 'read', probe, { ...at, timeoutMs });
  } catch (failed) {
    if (!isEtcdError(failed)) throw failed;
    // Who may not read the key has been answered, too.
    if (failed.reason !== 'PERMISSION_DENIED') error = failureText(failed, context);
  }
  const took = nanosecondText(clock.nowMs() - startMs);
  if (error !== '') return { endpoint, health: false, took, error };
  try {
    const asked = { ...alarm, kind: 'read' } as const;
    const { message } = await ask(client, asked, {}, { ...at, timeoutMs: leftMs() });
    const names = message.alarms.map(
      ({ alarm: number }) => `${alarmNames.get(number) ?? 'UNKNOWN'} `,
    );
    if (names.length > 0) error = `Active Alarm(s): ${names.join('')}`;
  } catch (failed) {
    if (!isEtcdError(failed)) throw failed;
    error = 'Unable to fetch the alarm list';
  }
  return { endpoint, health: error === '', took, error };
}

const alarmNames: ReadonlyMap<number, string> = new Map([
  [AlarmType.NOSPACE, 'NOSPACE'],
  [AlarmType.CORRUPT, 'CORRUPT'],
]);

async function show(context: CommandContext, all: readonly Health[]): Promise<void> {
  const shown = listShown({
    header: ['endpoint', 'health', 'took', 'error'],
    rows: all.map(({ endpoint, health, took, error }) => [endpoint, String(health), took, error]),
    json: all.map(({ endpoint, health, took, error }) => {
      return { endpoint, health, took, error: error === '' ? undefined : error };
    }),
    fields: () => all.map(fieldsOf).join(''),
  });
  await print(context, {
    ...shown,
    simple: () => {
      const [well, ill] = [true, false].map((isWell) =>
        all.filter(({ error }) => (error === '') === isWell),
      );
      for (const { endpoint, error } of ill ?? []) {
        context.io.stderr(`${endpoint} is unhealthy: failed to commit proposal: ${error}\n`);
      }
      const lines = (well ?? []).map(
        ({ endpoint, took }) =>
          `${endpoint} is healthy: successfully committed proposal: took = ${took}\n`,
      );
      return lines.join('');
    },
  });
}

function fieldsOf({ endpoint, health, took, error }: Health): string {
  return [
    fieldLine('Endpoint', endpoint),
    `"Health" : ${health}\n"Took" : ${took}\n"Error" : ${error}\n\n`,
  ].join('');
}
