/** The Maintenance service, and compaction, which etcd keeps in KV. */

import { createHash } from 'node:crypto';
import type { MemberId } from '../../common/index.js';
import {
  AlarmAction,
  AlarmType,
  alarmRequest,
  alarmResponse,
  DowngradeAction,
  decodeOnlyHeader,
  defragmentRequest,
  defragmentResponse,
  downgradeRequest,
  downgradeResponse,
  encodeCompactionRequest,
  hashKvRequest,
  hashKvResponse,
  moveLeaderRequest,
  moveLeaderResponse,
  snapshotRequest,
  snapshotResponse,
  statusRequest,
  statusResponse,
} from '../../proto/index.js';
import {
  type Caller,
  type CallOptions,
  callShape,
  callWithCodecs,
  type EndpointOptions,
  endpointShape,
  headerOf,
  method,
  serverStream,
} from '../call/index.js';
import { EtcdClientError } from '../errors.js';
import { revisionOption } from '../keyspace/index.js';
import { aFunction, checkOneOf, checkOptions, flag, wholeNumber } from '../strict/index.js';
import type { Alarm, AlarmName, Maintenance, MemberStatus, SnapshotOptions } from './types.js';

const alarmCodecs = [alarmRequest, alarmResponse] as const;
const hashBytes = 32;
const sectorBytes = 512;

/** `db.maintenance`. */
export function maintenanceOf(caller: Caller): Maintenance {
  const alarms = async (options?: CallOptions): Promise<readonly Alarm[]> => {
    const request = { action: AlarmAction.GET, alarm: AlarmType.NONE };
    const reply = await callWithCodecs(caller, method.alarm, 'read', alarmCodecs, request, options);
    return reply.alarms.flatMap(alarmOf);
  };
  return {
    alarms,
    status: (options) => memberStatus(caller, options),
    async compact(revision, options = {}) {
      checkOptions('maintenance.compact', options, { ...callShape, physical: flag });
      const request = encodeCompactionRequest({
        revision: revisionOption(revision),
        physical: options.physical ?? false,
      });
      const reply = await caller.call(method.compact, 'write', request, options);
      return { header: headerOf(decodeOnlyHeader(reply)) };
    },
    async defragment(options?: EndpointOptions) {
      checkOptions('maintenance.defragment', options, endpointShape);
      const codecs = [defragmentRequest, defragmentResponse] as const;
      // Doing it twice is harmless, but blocks the member twice.
      await callWithCodecs(caller, method.defragment, 'write', codecs, {}, options);
    },
    async hashKv(options = {}) {
      checkOptions('maintenance.hashKv', options, { ...endpointShape, revision: wholeNumber(1) });
      const codecs = [hashKvRequest, hashKvResponse] as const;
      const request = { revision: revisionOption(options.revision) };
      const reply = await callWithCodecs(caller, method.hashKv, 'local', codecs, request, options);
      const { hash, compactRevision, hashRevision } = reply;
      return { header: headerOf(reply.header), hash: hash >>> 0, compactRevision, hashRevision };
    },
    async disarm(alarm?: Alarm, options?: CallOptions) {
      // The server has no wildcard: all means each (C-6.2).
      const which = alarm === undefined ? await alarms(options) : [alarm];
      const cleared: Alarm[] = [];
      for (const { memberId, alarm: name } of which) {
        const request = { action: AlarmAction.DEACTIVATE, memberId, alarm: AlarmType[name] };
        const reply = await callWithCodecs(
          caller,
          method.alarm,
          'write',
          alarmCodecs,
          request,
          options,
        );
        cleared.push(...reply.alarms.flatMap(alarmOf));
      }
      return cleared;
    },
    snapshot(options = {}) {
      checkOptions('maintenance.snapshot', options, { ...endpointShape, onProgress: aFunction });
      return snapshotOf(caller, options);
    },
    async moveLeader(to: MemberId, options?: EndpointOptions) {
      checkOptions('maintenance.moveLeader', options, endpointShape);
      const codecs = [moveLeaderRequest, moveLeaderResponse] as const;
      await callWithCodecs(caller, method.moveLeader, 'write', codecs, { targetId: to }, options);
    },
    async downgrade(action, version, options) {
      checkOneOf('the action of downgrade', action, Object.keys(downgradeActions));
      checkOptions('maintenance.downgrade', options, callShape);
      const codecs = [downgradeRequest, downgradeResponse] as const;
      const kind = action === 'validate' ? 'read' : 'write';
      const request = { action: downgradeActions[action], version };
      const reply = await callWithCodecs(caller, method.downgrade, kind, codecs, request, options);
      return { version: reply.version };
    },
  };
}

const downgradeActions = {
  validate: DowngradeAction.VALIDATE,
  enable: DowngradeAction.ENABLE,
  cancel: DowngradeAction.CANCEL,
} as const;

async function memberStatus(caller: Caller, options?: EndpointOptions): Promise<MemberStatus> {
  checkOptions('maintenance.status', options, endpointShape);
  const codecs = [statusRequest, statusResponse] as const;
  const reply = await callWithCodecs(caller, method.status, 'local', codecs, {}, options);
  const { header, downgradeInfo: _, ...status } = reply;
  return { ...status, header: headerOf(header) };
}

/** Alarms of a kind that this client does not know are left out. */
function alarmOf(raw: { readonly memberId: bigint; readonly alarm: number }): Alarm[] {
  const name = (['NOSPACE', 'CORRUPT'] as const).find((each) => AlarmType[each] === raw.alarm);
  return name === undefined ? [] : [{ memberId: raw.memberId, alarm: name satisfies AlarmName }];
}

/**
 * The file as `etcdctl snapshot save` writes it: the database and the SHA-256 of it. The hash is
 * checked when it has come; the caller has written the rest by then, and throws it away if this
 * throws.
 */
async function* snapshotOf(
  caller: Caller,
  options: SnapshotOptions,
): AsyncGenerator<Buffer, undefined, void> {
  const request = snapshotRequest.encode({});
  const hash = createHash('sha256');
  let receivedBytes = 0;
  /** The last bytes so far: they may be the hash, which is not part of what it covers. */
  let tail: Buffer = Buffer.alloc(0);
  let remainingBytes = 0;
  for await (const message of serverStream(caller, method.snapshot, 'local', request, options)) {
    const { blob, remainingBytes: remaining } = snapshotResponse.decode(message);
    remainingBytes = remaining;
    if (blob.length === 0) continue;
    receivedBytes += blob.length;
    const held = Buffer.concat([tail, blob]);
    const split = Math.max(0, held.length - hashBytes);
    hash.update(held.subarray(0, split));
    tail = Buffer.from(held.subarray(split));
    options.onProgress?.({ receivedBytes, totalBytes: receivedBytes + remaining });
    yield blob;
  }
  const complete = remainingBytes === 0 && receivedBytes % sectorBytes === hashBytes;
  if (!complete || !hash.digest().equals(tail)) throw damaged(receivedBytes);
}

function damaged(receivedBytes: number): EtcdClientError {
  return new EtcdClientError({
    code: 'DATA_LOSS',
    reason: 'OTHER',
    outcome: 'failed',
    message: `the snapshot of ${receivedBytes} bytes does not agree with its hash`,
    method: method.snapshot,
  });
}
