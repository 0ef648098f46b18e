/** Space: alarms, the quota, what is free inside of files, what nobody compacts. */

import { bytesText, countText, shareText } from '../../show/index.js';
import type { MemberLook } from '../ask/index.js';
import { type Finding, nameOf, type Rule } from './finding.js';

const quotaShareMax = 0.8;
/** A file may have free space that the next writes take; below this it is not worth a word. */
const freeBytesMin = 256 * 1024 * 1024;
const freeShareMax = 0.5;
/** Revisions behind the current one that nobody has compacted. */
const revisionsKeptMax = 100_000;

const alarms: Rule = ({ now }) =>
  (now.alarms ?? []).map(({ memberId, type }): Finding => {
    const member = now.members.find(({ id }) => id === memberId);
    const who = member === undefined ? memberId.toString(16) : nameOf(member);
    if (type === 'NOSPACE') {
      return {
        id: 'alarm-nospace',
        weight: 'critical',
        what: `${who} has raised NOSPACE: the store is full, and puts are refused.`,
        todo: 'Compact, defrag every member, then alarm disarm; or raise --quota-backend-bytes.',
      };
    }
    return {
      id: 'alarm-corrupt',
      weight: 'critical',
      what: `${who} has raised ${type}: its data differ from those of the others.`,
      todo: 'Compare endpoint hashkv, replace the member that differs, then alarm disarm.',
    };
  });

const quotaNear: Rule = ({ now }) =>
  now.members.flatMap((member) => {
    const { quota, used } = spaceOf(member);
    if (quota === undefined || used / quota < quotaShareMax) return [];
    return [
      {
        id: 'quota-near',
        weight: 'warning' as const,
        what: `${nameOf(member)} uses ${shareText(used / quota)} of its quota of ${bytesText(quota)}.`,
        todo: 'Compact and defrag, or raise --quota-backend-bytes before puts are refused.',
      },
    ];
  });

function spaceOf({ status, metrics }: MemberLook) {
  const told = status?.dbSizeQuotaBytes ?? 0;
  const quota = told > 0 ? told : (metrics?.value('etcd_server_quota_backend_bytes') ?? 0);
  const used = status?.dbSizeInUseBytes ?? 0;
  return { quota: quota > 0 && Number.isFinite(quota) ? quota : undefined, used };
}

const fragmented: Rule = ({ now }) =>
  now.members.flatMap((member) => {
    const { dbSizeBytes = 0, dbSizeInUseBytes = 0 } = member.status ?? {};
    const free = dbSizeBytes - dbSizeInUseBytes;
    if (free < freeBytesMin || free / dbSizeBytes < freeShareMax) return [];
    return [
      {
        id: 'fragmented',
        weight: 'note' as const,
        what: `${bytesText(free)} of the ${bytesText(dbSizeBytes)} on the disk of ${nameOf(member)} are free.`,
        todo: 'defrag gives them back, one member at a time; only the disk has something of it.',
      },
    ];
  });

const compactionOff: Rule = ({ now }) => {
  const facts = now.members.map((member) => {
    const value = (name: string) => member.metrics?.value(`etcd_debugging_mvcc_${name}`);
    return { current: value('current_revision') ?? 0, compacted: value('compact_revision') ?? 0 };
  });
  const kept = Math.max(
    0,
    ...facts.map(({ current, compacted }) => current - Math.max(0, compacted)),
  );
  if (kept < revisionsKeptMax) return [];
  return [
    {
      id: 'compaction-off',
      weight: 'warning',
      what: `${countText(kept)} revisions are kept: nobody compacts, or seldom. The store grows with every put.`,
      todo: 'Set --auto-compaction-mode and --auto-compaction-retention, or compact regularly.',
    },
  ];
};

export const storeRules: readonly Rule[] = [alarms, quotaNear, compactionOff, fragmented];
