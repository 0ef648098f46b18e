/** The Lock and Election services. */

import { v3electionpb, v3lockpb } from '../generated/etcd.js';
import { bytes, int64, key, type MessageOf, message, signedId, submessage } from './codec.js';
import { keyValue } from './key-value.js';
import { responseHeader } from './response-header.js';

const header = submessage('header', responseHeader);

export const lockRequest = message(v3lockpb.LockRequest, {
  name: key('name'),
  lease: signedId('lease'),
});
export const lockResponse = message(v3lockpb.LockResponse, { header, key: key('key') });
export const unlockRequest = message(v3lockpb.UnlockRequest, { key: key('key') });
export const unlockResponse = message(v3lockpb.UnlockResponse, { header });

export const leaderKey = message(v3electionpb.LeaderKey, {
  name: key('name'),
  key: key('key'),
  /** Creation revision of `key`. */
  rev: int64('rev'),
  lease: signedId('lease'),
});
/** v3electionpb.LeaderKey as data. */
export type ProtoLeaderKey = MessageOf<typeof leaderKey>;

export const campaignRequest = message(v3electionpb.CampaignRequest, {
  name: key('name'),
  lease: signedId('lease'),
  value: bytes('value'),
});
export const campaignResponse = message(v3electionpb.CampaignResponse, {
  header,
  leader: submessage('leader', leaderKey),
});
export const leaderRequest = message(v3electionpb.LeaderRequest, { name: key('name') });
export const leaderResponse = message(v3electionpb.LeaderResponse, {
  header,
  kv: submessage('kv', keyValue),
});
export const resignRequest = message(v3electionpb.ResignRequest, {
  leader: submessage('leader', leaderKey),
});
export const resignResponse = message(v3electionpb.ResignResponse, { header });
export const proclaimRequest = message(v3electionpb.ProclaimRequest, {
  leader: submessage('leader', leaderKey),
  value: bytes('value'),
});
export const proclaimResponse = message(v3electionpb.ProclaimResponse, { header });
