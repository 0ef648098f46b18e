/** The member as its features see it: see feature/host.ts. */

import { EtcdError } from '../../common/index.js';
import { HeaderEncoder } from '../../proto/index.js';
import { callerRefusal, entryCaller } from '../entry/index.js';
import { type Host, LeaderQuestions } from '../feature/index.js';
import type { NodeCore } from './core.js';

/** So long a question to the leader may take before the leader is taken for frozen. */
const attemptMsMin = 1000;

export function nodeHost(core: NodeCore): Host {
  const { access, config, leadership, loop, ports, raft, space } = core;
  const { clusterId, incarnation, memberId, membership, store } = core.storage;
  const { clock, peers } = ports;
  const attemptMs = Math.max(attemptMsMin, config.electionMs);
  const timeoutMs = core.requestTimeoutMs;
  const leader = () => raft.leader;
  return {
    clusterId,
    memberId,
    incarnation,
    config,
    clock,
    random: ports.random,
    disk: ports.disk,
    passwords: ports.passwords,
    environment: ports.environment ?? {},
    logger: ports.logger,
    metrics: core.metrics,
    peers,
    store,
    membership,
    alarms: core.alarms,
    access,
    authState: core.authState,
    tokens: core.tokens,
    admission: core.admission,
    raft,
    leadership,
    requestBytesMax: config.requestBytesMax,
    txnOpsMax: config.txnOpsMax,
    requestTimeoutMs: timeoutMs,
    headers: new HeaderEncoder(clusterId, memberId),
    hasLeader: () => leadership.hasLeader(),
    term: () => raft.term,
    propose(type, data, request, respond, context, onlyInTerm) {
      const costBytes = type.costBytes(request);
      const denied = access.isEnabled
        ? callerRefusal(type, access, entryCaller(data), request)
        : undefined;
      const refusal = denied ?? (costBytes > 0 ? space.refusal(costBytes) : undefined);
      if (refusal !== undefined) respond(context, request, new EtcdError(refusal), undefined);
      else loop.propose(data, request, respond, context, onlyInTerm, type.isUrgent);
    },
    proposeConfigChange(steps, data, request, respond, context) {
      loop.proposeConfigChange(steps, data, request, respond, context);
    },
    // The loop's own: nothing is added to a read on its way.
    read: loop.read.bind(loop) as Host['read'],
    readBarrier: loop.readBarrier.bind(loop),
    appliedIndex: () => loop.appliedIndex,
    wake: () => loop.schedule(),
    leaderQuestions: new LeaderQuestions({
      self: memberId,
      clock,
      leader,
      peers,
      timeoutMs,
      attemptMs,
    }),
    fail: core.failure.tell,
  };
}
