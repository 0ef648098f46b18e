/** Who is a member, as clients see and change it, and what members tell each other about it. */

import { etcdVersion, kvorumVersion } from '../../common/index.js';
import { EntryKind, type EntryType, entryType, onlyTheMember } from '../entry/index.js';
import type { Feature, Host } from '../feature/index.js';
import {
  decodeAttributes,
  decodeMemberUpdate,
  encodeClusterAnswer,
  type MemberAttributes,
  type Membership,
  type MemberUpdate,
} from '../membership/index.js';
import { ClusterVersion } from './cluster-version.js';
import { MemberAdmin } from './member-admin.js';
import { type AttributesEntry, publishSelf } from './publish.js';
import { clusterMethods } from './rpc.js';

export interface ClusterFeature extends Feature {
  readonly version: ClusterVersion;
}

export interface ClusterEntries {
  readonly attributes: AttributesEntry;
  readonly update: EntryType<MemberUpdate, true>;
}

export function clusterFeature(host: Host): ClusterFeature {
  const { clock, config, logger, memberId: self, membership, peers, raft } = host;
  const entries = clusterEntries(membership);
  const admin = new MemberAdmin({
    self,
    clock,
    logger,
    membership,
    raft,
    loop: {
      propose: (data, update, respond, context) =>
        host.propose(entries.update, data, update, respond, context),
      proposeConfigChange: host.proposeConfigChange,
    },
    leaderQuestions: host.leaderQuestions,
    peers,
    read: () => host.readBarrier(),
    strictReconfigCheck: config.strictReconfigCheck,
    learnersMax: config.learnersMax,
    timeoutMs: host.requestTimeoutMs,
  });
  const version = new ClusterVersion({ self, etcdVersion, clock, logger, membership, peers });
  return {
    name: 'cluster',
    version,
    entries: Object.values(entries),
    methods: clusterMethods(host, { membership, memberAdmin: admin }),
    questions: [
      ['memberChange', (body) => admin.answer(body)],
      ['cluster', () => whoWeAre(host)],
    ],
    gauges: () => ({
      isLearner: membership.get(self)?.isLearner ?? false,
      clusterVersion: version.version.split('.', 2).join('.'),
    }),
    join: () => publishSelf(host, entries.attributes),
    serve: () => version.start(),
    retire: () => version.stop(),
  };
}

function clusterEntries(membership: Membership): ClusterEntries {
  return {
    attributes: entryType<MemberAttributes, true>({
      kind: EntryKind.memberAttributes,
      operation: 'ClusterMemberAttrSet',
      decode: decodeAttributes,
      refusedWhenCorrupt: false,
      allows: onlyTheMember,
      apply(txn, attributes) {
        membership.applyAttributes(txn, attributes);
        return true as const;
      },
    }),
    update: entryType<MemberUpdate, true>({
      kind: EntryKind.memberUpdate,
      operation: 'ClusterMemberUpdate',
      decode: decodeMemberUpdate,
      refusedWhenCorrupt: false,
      allows: onlyTheMember,
      apply(txn, update) {
        membership.applyUpdate(txn, update);
        return true as const;
      },
    }),
  };
}

/** What this member knows of its cluster, for one that asks. */
export function whoWeAre({
  admission,
  clusterId,
  memberId,
  membership,
}: Pick<Host, 'admission' | 'clusterId' | 'memberId' | 'membership'>): Uint8Array {
  return encodeClusterAnswer({
    clusterId,
    memberId,
    members: admission.members(),
    removed: membership.removed(),
    version: kvorumVersion,
    etcdVersion,
  });
}
