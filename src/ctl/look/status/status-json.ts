/** `status -w json`: the same facts, numbers as numbers, ids in hexadecimal digits. */

import {
  type ClusterLook,
  isHealthy,
  lagOf,
  leaderOf,
  type MemberLook,
  quorumOf,
} from '../ask/index.js';

/** What is printed; see jsonLine for ids. */
export function statusJson(look: ClusterLook) {
  const { voters, answering, needed } = quorumOf(look);
  return {
    takenAt: new Date(look.takenMs).toISOString(),
    healthy: isHealthy(look),
    clusterId: look.clusterId,
    leader: leaderOf(look),
    voters: { all: voters, answering, needed },
    alarms: look.alarms,
    authEnabled: look.authEnabled,
    ...(look.listError === undefined ? {} : { memberListError: look.listError }),
    members: look.members.map((member) => memberJson(look, member)),
  };
}

function memberJson(look: ClusterLook, member: MemberLook) {
  const { status, metrics, certificate, clock } = member;
  const gauge = (name: string) => metrics?.value(name);
  return {
    ...{ id: member.id, name: member.name, endpoint: member.endpoint },
    ...{ isLearner: member.isLearner, peerUrls: member.peerUrls, clientUrls: member.clientUrls },
    answers: status !== undefined,
    ...(status === undefined ? { error: member.error } : {}),
    ...(status === undefined
      ? {}
      : {
          version: status.version,
          revision: status.header?.revision,
          raftTerm: status.raftTerm,
          raftIndex: status.raftIndex,
          raftAppliedIndex: status.raftAppliedIndex,
          lag: lagOf(look, member),
          dbBytes: status.dbSizeBytes,
          dbInUseBytes: status.dbSizeInUseBytes,
          quotaBytes: status.dbSizeQuotaBytes,
          errors: status.errors,
        }),
    keys: gauge('etcd_debugging_mvcc_keys_total'),
    watchers: gauge('etcd_debugging_mvcc_watcher_total'),
    ...(metrics === undefined ? { metricsError: member.metricsError } : {}),
    ...(certificate === undefined
      ? {}
      : {
          certificate: {
            subject: certificate.subject,
            endsAt: endText(certificate.endsMs),
            refusedFor: certificate.refusedFor,
          },
        }),
    ...(clock === undefined
      ? {}
      : { clock: { offsetMs: clock.offsetMs, uncertaintyMs: clock.uncertaintyMs } }),
  };
}

function endText(endsMs: number): string | undefined {
  return Number.isFinite(endsMs) ? new Date(endsMs).toISOString() : undefined;
}
