/** `lease`: promises of time that keys are bound to. */

import { isEtcdError } from '../../client/index.js';
import { method } from '../../client/raw/index.js';
import { idToHex } from '../../common/index.js';
import {
  decodeLeaseKeepAliveResponse,
  encodeLeaseGrantRequest,
  encodeLeaseRevokeRequest,
  encodeLeaseTimeToLiveRequest,
} from '../../proto/index.js';
import { CommandError, command, countOf, exit, flag, parseGoInt } from '../command/index.js';
import { etcdctlText } from '../failure/index.js';
import { formatOf, print } from '../print/index.js';
import { keepAliveAnswers } from '../session/index.js';
import { grantShown, keepAliveShown, leasesShown, revokeShown, timeToLiveShown } from './shown.js';

const noDeadline = { timeoutMs: Number.POSITIVE_INFINITY };

const grantCommand = command({
  name: 'grant',
  usage: '<ttl>',
  short: 'Makes a lease of so many seconds',
  async run(context, args) {
    const [text] = args;
    if (text === undefined || args.length > 1) {
      throw badArguments('lease grant command needs TTL argument');
    }
    const ttlSeconds = countOf(numberOf(text, 10, (reason) => `bad TTL (${reason})`));
    const client = await context.client();
    const request = encodeLeaseGrantRequest({ ttlSeconds, id: 0n });
    const bytes = await orSay('failed to grant lease', exit.error, () =>
      client.call(method.leaseGrant, 'write', request),
    );
    await print(context, grantShown(bytes, context.global.hex));
    return undefined;
  },
});

const revokeCommand = command({
  name: 'revoke',
  usage: '<leaseID>',
  short: 'Ends a lease: its keys are deleted',
  async run(context, args) {
    const [text] = args;
    if (text === undefined || args.length > 1) {
      throw badArguments('lease revoke command needs 1 argument');
    }
    const id = leaseOf(text);
    const client = await context.client();
    const bytes = await orSay('failed to revoke lease', exit.error, () =>
      client.call(method.leaseRevoke, 'write', encodeLeaseRevokeRequest({ id })),
    );
    await print(context, revokeShown(bytes, id, context.global.hex));
    return undefined;
  },
});

const timeToLiveCommand = command({
  name: 'timetolive',
  usage: '<leaseID> [options]',
  short: 'Shows how much time a lease has',
  flags: { keys: flag.bool(false, 'and the keys that are bound to it') },
  async run(context, args, { keys }) {
    const [text] = args;
    if (text === undefined || args.length > 1) {
      throw badArguments('lease timetolive command needs lease ID as argument');
    }
    const client = await context.client();
    const request = encodeLeaseTimeToLiveRequest({ id: leaseOf(text), keys });
    const bytes = await orSay('', exit.badConnection, () =>
      client.call(method.leaseTimeToLive, 'read', request, noDeadline),
    );
    await print(context, timeToLiveShown(bytes, keys, context.global.hex));
    return undefined;
  },
});

const listCommand = command({
  name: 'list',
  short: 'Lists the leases',
  async run(context) {
    const client = await context.client();
    const bytes = await orSay('', exit.badConnection, () =>
      client.call(method.leaseLeases, 'read', new Uint8Array(), noDeadline),
    );
    await print(context, leasesShown(bytes, context.global.hex));
    return undefined;
  },
});

const keepAliveCommand = command({
  name: 'keep-alive',
  usage: '[options] <leaseID>',
  short: 'Renews a lease, until it is interrupted',
  flags: { once: flag.bool(false, 'once') },
  async run(context, args, { once }) {
    const [text] = args;
    if (text === undefined || args.length > 1) {
      throw badArguments('lease keep-alive command needs lease ID as argument');
    }
    const id = leaseOf(text);
    const client = await context.client();
    const { io, global } = context;
    const answers = keepAliveAnswers(client, id, io.interrupted);
    await orSay('', exit.badConnection, async () => {
      for await (const bytes of answers) {
        if (decodeLeaseKeepAliveResponse(bytes).ttlSeconds <= 0) {
          if (!once) break;
          const gone = 'etcdserver: requested lease not found';
          throw new CommandError(gone, exit.badConnection);
        }
        await print(context, keepAliveShown(bytes, global.hex));
        if (once) break;
      }
    });
    if (io.interrupted.aborted) return interruptedStatus;
    if (once || formatOf(global) !== 'simple') return undefined;
    await io.stdout(`lease ${idToHex(id).padStart(16, '0')} expired or revoked.\n`);
    return undefined;
  },
});

/** As a shell says of a program that SIGINT has ended. */
const interruptedStatus = 130;

export const leaseCommand = command({
  name: 'lease',
  usage: '<subcommand>',
  short: 'Makes, renews and ends leases',
  long: 'Leases: keys that are bound to one are deleted when its time is over.',
  group: 'Key-value commands',
  commands: [grantCommand, revokeCommand, timeToLiveCommand, listCommand, keepAliveCommand],
});

function leaseOf(text: string): bigint {
  return numberOf(text, 16, (reason) => `bad lease ID arg (${reason}), expecting ID in Hex`);
}

function numberOf(text: string, base: 10 | 16, said: (reason: string) => string): bigint {
  try {
    return parseGoInt(text, base);
  } catch (error) {
    throw badArguments(said((error as Error).message));
  }
}

/** Failures of a call end the command with this status. */
async function orSay<Result>(
  what: string,
  status: number,
  call: () => Promise<Result>,
): Promise<Result> {
  try {
    return await call();
  } catch (error) {
    if (!isEtcdError(error)) throw error;
    const text = etcdctlText(error);
    throw new CommandError(what === '' ? text : `${what} (${text})`, status);
  }
}

function badArguments(message: string): CommandError {
  return new CommandError(message, exit.badArguments);
}
