/** `alarm`: NOSPACE and CORRUPT, which stop writes until they are disarmed. */

import { AlarmAction, AlarmType, alarmResponse, type ProtoAlarm } from '../../proto/index.js';
import { type CommandContext, CommandError, command, exit } from '../command/index.js';
import { ask } from '../connect/index.js';
import { headerFields, headerOf, idLine, print } from '../print/index.js';
import { alarm } from './rpcs.js';

const listed = { ...alarm, kind: 'read' } as const;
const type = 'etcdserverpb.AlarmResponse';

const list = command({
  name: 'list',
  short: 'Lists the alarms that are raised',
  async run(context, args) {
    noArguments('list', args);
    const request = { action: AlarmAction.GET, alarm: AlarmType.NONE };
    const { bytes, message } = await ask(await context.client(), listed, request);
    await show(context, bytes, message.alarms);
    return undefined;
  },
});

const disarm = command({
  name: 'disarm',
  short: 'Takes all alarms back',
  async run(context, args) {
    noArguments('disarm', args);
    const client = await context.client();
    const { clock } = context.io;
    // The server knows no "all": each is asked for by itself, in the time of one command.
    const endMs = clock.nowMs() + context.global['command-timeout'];
    const options = () => ({ timeoutMs: Math.max(0, endMs - clock.nowMs()) });
    const raised = await ask(client, listed, { action: AlarmAction.GET }, options());
    const alarms: ProtoAlarm[] = [];
    for (const { memberId, alarm: what } of raised.message.alarms) {
      const request = { action: AlarmAction.DEACTIVATE, memberId, alarm: what };
      alarms.push(...(await ask(client, alarm, request, options())).message.alarms);
    }
    await show(context, alarmResponse.encode({ alarms }), alarms);
    return undefined;
  },
});

async function show(
  context: CommandContext,
  bytes: Buffer,
  alarms: readonly ProtoAlarm[],
): Promise<void> {
  const { hex } = context.global;
  await print(context, {
    ...{ type, bytes },
    simple: () => alarms.map((one) => `memberID:${one.memberId} alarm:${nameOf(one)}\n`).join(''),
    fields: () =>
      headerFields(headerOf(bytes, type), hex) +
      alarms
        .map((one) => `${idLine('MemberID', one.memberId, hex)}"AlarmType" : ${nameOf(one)}\n\n`)
        .join(''),
  });
}

const names = new Map<number, string>(
  Object.entries(AlarmType).map(([name, number]) => [number, name]),
);

function nameOf({ alarm: number }: ProtoAlarm): string {
  return names.get(number) ?? String(number);
}

function noArguments(name: string, args: readonly string[]): void {
  if (args.length === 0) return;
  throw new CommandError(`alarm ${name} command accepts no arguments`, exit.badArguments);
}

export const alarmCommand = command({
  name: 'alarm',
  usage: '<subcommand>',
  short: 'Alarm related commands',
  group: 'Cluster maintenance commands',
  commands: [disarm, list],
});
