/**
 * A whole member: the node, and everything that it can do. The one place that knows all features;
 * a new one is a line here.
 */

import type { MethodHandler } from '../transport/index.js';
import { Audit, AuditFile } from './audit/index.js';
import { authFeature } from './auth/index.js';
import { type ClusterFeature, clusterFeature } from './cluster/index.js';
import { concurrencyFeature } from './concurrency/index.js';
import type { Feature, Host } from './feature/index.js';
import type { AlarmEntry } from './guard/index.js';
import { kvFeature } from './kv/index.js';
import { type LeaseFeature, leaseFeature } from './lease/index.js';
import { maintenanceFeature } from './maintenance/index.js';
import type { Metrics } from './metrics/index.js';
import { Failure, type Node, type NodePorts, openNode } from './node/index.js';
import type { ServerConfig } from './options/index.js';
import { reflectionFeature } from './reflection/index.js';
import { type Guards, guarded, healthFeature, RateGuard, Serving } from './rpc/index.js';
import { scheduledBackupFeature } from './scheduled-backup/index.js';
import { type WatchFeature, watchFeature } from './watch/index.js';

/** The features, and what others than the node ask of them. */
interface MemberFeatures {
  readonly all: readonly Feature[];
  readonly watch: WatchFeature;
  readonly lease: LeaseFeature;
  readonly cluster: ClusterFeature;
  readonly audit: AuditFile | undefined;
  readonly auditor: Audit | undefined;
  compact(revision: number, done: (error: Error | undefined) => void): void;
}

/** A running member with all that it can do. */
export interface WholeMember extends Node {
  readonly features: readonly Feature[];
  readonly auditor: Audit | undefined;
  readonly lessor: LeaseFeature['lessor'];
  readonly watchHub: WatchFeature['hub'];
  readonly versions: ClusterFeature['versions'];
  /** Undefined: nobody writes down who did what. */
  readonly audit: AuditFile | undefined;
  /** Compacts, as a client would. */
  compact(revision: number, done: (error: Error | undefined) => void): void;
}

/**
 * Opens (or founds) the data directory. Rejects with StorageError if it can't be trusted, and with
 * the reason of `signal` when that aborts; nothing stays open then.
 */
export async function openMember(
  config: ServerConfig,
  ports: NodePorts,
  metrics: Metrics,
  reportFatal: (error: unknown) => void,
  signal?: AbortSignal,
): Promise<WholeMember> {
  const failure = new Failure(reportFatal, config.dataDir);
  const { node, made } = await openNode(
    { config, ports, metrics, failure, signal },
    memberFeatures,
  );
  const { all, audit, auditor, cluster, compact, lease, watch } = made;
  return {
    ...node,
    features: all,
    lessor: lease.lessor,
    watchHub: watch.hub,
    versions: cluster.versions,
    audit,
    auditor,
    compact,
  };
}

function memberFeatures(host: Host, alarm: AlarmEntry): MemberFeatures {
  const { audit, auditor } = auditOf(host);
  const watch = watchFeature(host);
  const lease = leaseFeature(host);
  const isHandedOut = (changes: number): boolean => watch.hub.isHandedOut(changes);
  const kv = kvFeature(host, {
    leases: lease.lessor,
    leaseRights: lease.keyRights,
    isHandedOut,
  });
  const cluster = clusterFeature(host);
  const serving = new Serving();
  const maintenance = maintenanceFeature(host, alarm, { serving, versions: cluster.versions });
  const concurrency = concurrencyFeature(host, {
    ofClients: lazily(() => guardedMethods(host, [kv, watch, lease], { audit: auditor })),
    ofMember: lazily(() => new Map(methodsOf([kv, lease]))),
  });
  const all: Feature[] = [kv, watch, lease, cluster, maintenance];
  all.push(authFeature(host), healthFeature(host, serving), concurrency);
  const { backup } = host.config;
  if (backup !== undefined) all.push(scheduledBackupFeature(host, backup));
  if (host.config.reflectionEnabled) {
    all.push(reflectionFeature(host, () => methodsOf(all).map(([name]) => name)));
  }
  return { all, watch, lease, cluster, audit, auditor, compact: kv.compact };
}

function auditOf({ clock, config, disk, logger, metrics }: Host): {
  readonly audit: AuditFile | undefined;
  readonly auditor: Audit | undefined;
} {
  if (config.audit === undefined) return { audit: undefined, auditor: undefined };
  const file = new AuditFile({ clock, disk, logger, metrics, config: config.audit });
  const write = (line: string): void => file.write(line);
  return { audit: file, auditor: new Audit({ config: config.audit, clock, write }) };
}

/** Every rpc of a member behind its guards, by full method name. `metrics`: who counts the calls. */
export function allMethods(
  { auditor: audit, features, host }: WholeMember,
  metrics?: Metrics,
): Map<string, MethodHandler> {
  const { rateLimit } = host.config;
  const rate = rateLimit === undefined ? undefined : new RateGuard(rateLimit, host.clock, metrics);
  return guardedMethods(host, features, { audit, metrics, rate });
}

/**
 * Without `metrics` and `rate`: for what a client's call makes more of, which was counted itself.
 * In the audit is both: what was called, and what that did to which keys in whose name.
 */
function guardedMethods(
  host: Host,
  features: readonly Feature[],
  more: Partial<Pick<Guards, 'audit' | 'metrics' | 'rate'>>,
): Map<string, MethodHandler> {
  const { membership, memberId } = host;
  return guarded(methodsOf(features), {
    metrics: undefined,
    ...more,
    isLearner: () => membership.get(memberId)?.isLearner ?? false,
    isReadOnly: host.config.readOnlyMember,
    hasLeader: () => host.hasLeader(),
    access: host.access,
  });
}

function methodsOf(features: readonly Feature[]): Array<readonly [string, MethodHandler]> {
  return features.flatMap((feature) => feature.methods ?? []);
}

/** What `make` gives, made when it is first asked for. */
function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
