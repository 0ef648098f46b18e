/** `member`: who belongs to the cluster, as etcdctl 3.7 shows and changes it. */

import type { MessageOf, ProtoMember } from '../../proto/index.js';
import { CommandError, command, exit, flag } from '../command/index.js';
import { type Answer, ask } from '../connect/index.js';
import {
  fieldLine,
  goQuotedBytes,
  headerFields,
  headerOf,
  idLine,
  messageFields,
  print,
  type Shown,
} from '../print/index.js';
import { hexId, memberIdOf, wideId } from './member-id.js';
import { checkPeerUrls } from './peer-urls.js';
import * as rpc from './rpcs.js';

const peerUrls = flag.string('', 'where the others reach the member; separated by commas');

const add = command({
  name: 'add',
  usage: '<memberName>',
  short: 'Adds a member to the cluster',
  flags: {
    'peer-urls': peerUrls,
    learner: flag.bool(false, 'it does not vote until it is promoted'),
  },
  async run(context, args, flags) {
    const [name] = args;
    if (name === undefined) throw badArguments('member name not provided');
    if (args.length > 1) {
      const urls = args.filter((one) => one.toLowerCase().startsWith('http'));
      const hints = urls.map((url) => `, did you mean --peer-urls=${url}`);
      throw badArguments(`too many arguments${hints.join('')}`);
    }
    const urls = flags['peer-urls'];
    if (urls === '') throw badArguments('member peer urls not provided');
    const client = await context.client();
    const request = { peerUrls: urls.split(','), isLearner: flags.learner };
    checkPeerUrls(request.peerUrls);
    const answer = await ask(client, rpc.memberAdd, request);
    const { member, header } = answer.message;
    const as = member?.isLearner === true ? ' as learner ' : ' ';
    const cluster = wideId(header?.clusterId ?? 0n);
    await print(context, {
      ...shownMembers('MemberAdd', answer, context.global.hex),
      simple: () =>
        `Member ${wideId(member?.id ?? 0n)} added${as}to cluster ${cluster}\n` +
        environment(name, urls, answer.message),
    });
    return undefined;
  },
});

/** What the new member is to be started with. */
function environment(
  name: string,
  urls: string,
  { member, members }: MessageOf<typeof rpc.memberAdd.response>,
): string {
  const peers = members.flatMap((one) => {
    const called = one.id === member?.id ? name : one.name;
    return one.peerUrls.map((url) => `${called}=${url}`);
  });
  const lines = [
    ['NAME', name],
    ['INITIAL_CLUSTER', peers.join(',')],
    ['INITIAL_ADVERTISE_PEER_URLS', urls],
    ['INITIAL_CLUSTER_STATE', 'existing'],
  ].map(([variable, value = '']) => `ETCD_${variable}=${goQuotedBytes(Buffer.from(value))}\n`);
  return `\n${lines.join('')}`;
}

const remove = command({
  name: 'remove',
  usage: '<memberID>',
  short: 'Removes a member from the cluster',
  async run(context, args) {
    const id = memberIdOf(args);
    const answer = await ask(await context.client(), rpc.memberRemove, { id });
    await print(context, {
      ...shownMembers('MemberRemove', answer, context.global.hex),
      simple: () => `Member ${wideId(id)} removed from cluster ${clusterOf(answer)}\n`,
    });
    return undefined;
  },
});

const update = command({
  name: 'update',
  usage: '<memberID>',
  short: 'Changes where the others reach a member',
  flags: { 'peer-urls': peerUrls },
  async run(context, args, flags) {
    const id = memberIdOf(args);
    const urls = flags['peer-urls'];
    if (urls === '') throw badArguments('member peer urls not provided');
    const client = await context.client();
    const request = { id, peerUrls: urls.split(',') };
    checkPeerUrls(request.peerUrls);
    const answer = await ask(client, rpc.memberUpdate, request);
    await print(context, {
      ...shownMembers('MemberUpdate', answer, context.global.hex),
      simple: () => `Member ${wideId(id)} updated in cluster ${clusterOf(answer)}\n`,
    });
    return undefined;
  },
});

const promote = command({
  name: 'promote',
  usage: '<memberID>',
  short: 'Makes a learner a voting member',
  async run(context, args) {
    const id = memberIdOf(args);
    const answer = await ask(await context.client(), rpc.memberPromote, { id });
    await print(context, {
      ...shownMembers('MemberPromote', answer, context.global.hex),
      simple: () => `Member ${wideId(id)} promoted in cluster ${clusterOf(answer)}\n`,
    });
    return undefined;
  },
});

const list = command({
  name: 'list',
  short: 'Lists the members of the cluster',
  long:
    'Lists the members of the cluster. In the format simple a line is: id, started or unstarted,\n' +
    'name, URLs for peers, URLs for clients, whether it is a learner.',
  flags: {
    consistency: flag.string('l', 'linearizable (l), or what the member knows: serializable (s)'),
  },
  async run(context, _args, flags) {
    const { consistency } = flags;
    if (consistency !== 'l' && consistency !== 's') {
      // etcdctl names the flag of another command here, which nobody has given.
      throw new CommandError('unknown consistency flag "l"', exit.badFeature);
    }
    const linearizable = consistency === 'l';
    const kind = linearizable ? ('read' as const) : ('local' as const);
    const answer = await ask(await context.client(), { ...rpc.memberList, kind }, { linearizable });
    const rows = answer.message.members.map(rowOf);
    await print(context, {
      ...shownMembers('MemberList', answer, context.global.hex),
      simple: () => rows.map((row) => `${row.join(', ')}\n`).join(''),
      table: () => ({ header: columns, rows }),
      fields: () => listFields(answer.bytes, context.global.hex),
    });
    return undefined;
  },
});

const columns = ['ID', 'Status', 'Name', 'Peer Addrs', 'Client Addrs', 'Is Learner'] as const;

function rowOf({ id, name, peerUrls: peers, clientUrls, isLearner }: ProtoMember) {
  const state = name === '' ? 'unstarted' : 'started';
  return [hexId(id), state, name, peers.join(','), clientUrls.join(','), String(isLearner)];
}

function listFields(bytes: Buffer, hex: boolean): string {
  const type = 'etcdserverpb.MemberListResponse';
  const members = (messageFields(bytes, type).members ?? []) as readonly JsonMember[];
  const blocks = members.map((member) =>
    [
      idLine('ID', member.ID ?? 0n, hex),
      fieldLine('Name', member.name ?? ''),
      ...(member.peerURLs ?? []).map((url) => fieldLine('PeerURL', url)),
      ...(member.clientURLs ?? []).map((url) => fieldLine('ClientURL', url)),
      fieldLine('IsLearner', member.isLearner ?? false),
      '\n',
    ].join(''),
  );
  return `${headerFields(headerOf(bytes, type), hex)}${blocks.join('')}`;
}

/** A member under the names of the .proto file. */
interface JsonMember {
  readonly ID?: bigint;
  readonly name?: string;
  readonly peerURLs?: readonly string[];
  readonly clientURLs?: readonly string[];
  readonly isLearner?: boolean;
}

/** An answer that lists members; with --hex its JSON has ids as hexadecimal digits. */
function shownMembers(
  name: string,
  { bytes }: Answer<unknown>,
  hex: boolean,
): Pick<Shown, 'type' | 'bytes' | 'json'> {
  const type = `etcdserverpb.${name}Response`;
  if (!hex) return { type, bytes };
  return { type, bytes, json: () => hexJson(bytes, type) };
}

function hexJson(bytes: Buffer, type: string): unknown {
  const { header, member, members } = messageFields(bytes, type);
  const { cluster_id, member_id, revision, raft_term } = (header ?? {}) as {
    readonly [name: string]: bigint | undefined;
  };
  return {
    header: {
      cluster_id: hexId(cluster_id ?? 0n),
      member_id: hexId(member_id ?? 0n),
      ...{ revision, raft_term },
    },
    member: member === undefined ? undefined : hexMember(member as JsonMember),
    members: ((members ?? []) as readonly JsonMember[]).map(hexMember),
  };
}

function hexMember(member: JsonMember): unknown {
  const { ID, name, peerURLs, clientURLs, isLearner } = member;
  return { ID: hexId(ID ?? 0n), name, peerURLs, clientURLs, isLearner };
}

function clusterOf(
  answer: Answer<{ readonly header?: { readonly clusterId: bigint } | undefined }>,
) {
  return wideId(answer.message.header?.clusterId ?? 0n);
}

function badArguments(message: string): CommandError {
  return new CommandError(message, exit.badArguments);
}

export const memberCommand = command({
  name: 'member',
  usage: '<subcommand>',
  short: 'Membership related commands',
  group: 'Cluster maintenance commands',
  commands: [add, remove, update, list, promote],
});
