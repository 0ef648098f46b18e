/** Who is a member, as clients see and change it, and what members tell each other about it. */

import { etcdVersion, kvorumVersion, storageVersion } from '../../common/index.js';
import { memberCaller } from '../access/index.js';
import { EntryKind, type EntryType, entryType, onlyRoot, onlyTheMember } from '../entry/index.js';
import type { Feature, Host } from '../feature/index.js';
import {
  decodeAttributes,
  decodeMemberUpdate,
  encodeClusterAnswer,
  type MemberAttributes,
  type Membership,
  type MemberUpdate,
} from '../membership/index.js';
import { AutoPromotion } from './auto-promotion.js';
import { ClusterVersion } from './cluster-version.js';
import { Downgrade, type DowngradeStep, decodeDowngradeStep } from './downgrade.js';
import { type DowngradeEntry, downgradeMethod, proposeStep } from './downgrade-rpc.js';
import { DowngradeWatch } from './downgrade-watch.js';
import { MemberAdmin } from './member-admin.js';
import { type AttributesEntry, publishSelf } from './publish.js';
import { clusterMethods } from './rpc.js';
import { withoutPatch } from './version-text.js';

export interface ClusterFeature extends Feature {
  readonly versions: ClusterVersions;
}

/** What clients are told of versions. All of them are "major.minor.patch". */
export interface ClusterVersions {
  /** Of the cluster. */
  readonly cluster: string;
  /** That of what is stored; see Downgrade. */
  readonly storage: string;
  /** "major.minor.0" of what the cluster is to be downgraded to; undefined: nothing. */
  readonly downgradeTo: string | undefined;
}

export interface ClusterEntries {
  readonly attributes: AttributesEntry;
  readonly update: EntryType<MemberUpdate, true>;
  readonly downgrade: DowngradeEntry;
}

export function clusterFeature(host: Host): ClusterFeature {
  const { clock, config, logger, memberId: self, membership, peers, raft } = host;
  const downgrade = new Downgrade();
  const entries = clusterEntries(membership, downgrade);
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
    metrics: host.metrics,
    strictReconfigCheck: config.strictReconfigCheck,
    learnersMax: config.learnersMax,
    timeoutMs: host.requestTimeoutMs,
  });
  const around = { self, clock, logger, membership, peers };
  const promotion = config.autoPromoteLearners
    ? new AutoPromotion({
        ...{ self, clock, logger, membership, raft, peers, electionMs: config.electionMs },
        promote: (id) => admin.execute({ type: 'promote', id }),
      })
    : undefined;
  const version = new ClusterVersion({ ...around, etcdVersion, downgrade });
  const watch = new DowngradeWatch({
    clock,
    logger,
    downgrade,
    versions: () => version.ask(),
    propose: (step) => {
      // If it gets lost, the next look proposes it again.
      proposeStep(host, entries.downgrade, step, memberCaller(host.access)).catch(() => {});
    },
    checkMs: config.downgradeCheckMs,
  });
  return {
    name: 'cluster',
    versions: clusterVersions(version, downgrade),
    entries: Object.values(entries),
    methods: [
      ...clusterMethods(host, { membership, memberAdmin: admin }),
      downgradeMethod(host, { downgrade, version, entry: entries.downgrade }),
    ],
    questions: [
      ['memberChange', (body) => admin.answer(body)],
      ['cluster', () => whoWeAre(host)],
    ],
    gauges: () => ({
      isLearner: membership.get(self)?.isLearner ?? false,
      clusterVersion: withoutPatch(version.version),
    }),
    *restore(stored) {
      return () => downgrade.restore(stored);
    },
    join: () => publishSelf(host, entries.attributes),
    serve() {
      version.start();
      if (config.readOnlyMember && membership.get(self)?.isLearner === false) {
        logger.warn('--read-only-member has no effect: this member votes');
      }
    },
    lead() {
      watch.start();
      promotion?.start();
    },
    follow() {
      watch.stop();
      promotion?.stop();
    },
    retire() {
      version.stop();
      watch.stop();
      promotion?.stop();
    },
  };
}

function clusterVersions(version: ClusterVersion, downgrade: Downgrade): ClusterVersions {
  return {
    get cluster() {
      return version.version;
    },
    get storage() {
      return downgrade.state.clusterVersion ?? storageVersion;
    },
    get downgradeTo() {
      return downgrade.state.targetVersion;
    },
  };
}

function clusterEntries(membership: Membership, downgrade: Downgrade): ClusterEntries {
  return {
    attributes: entryType<MemberAttributes, true>({
      kind: EntryKind.memberAttributes,
      operation: 'ClusterMemberAttrSet',
      decode: decodeAttributes,
      refusedWhenCorrupt: false,
      isUrgent: true,
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
      isUrgent: true,
      allows: onlyTheMember,
      apply(txn, update) {
        membership.applyUpdate(txn, update);
        return true as const;
      },
    }),
    downgrade: entryType<DowngradeStep, true>({
      kind: EntryKind.downgrade,
      operation: 'DowngradeInfoSet',
      decode: decodeDowngradeStep,
      refusedWhenCorrupt: false,
      allows: onlyRoot,
      apply(txn, step) {
        downgrade.apply(txn, step);
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
