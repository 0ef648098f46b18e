import { describe, expect, it } from 'vitest';
import { timeoutReason } from '../../src/server/node/timeout-reason.js';

const electionMs = 1000;

function reason(facts: {
  leader: bigint;
  electedMs?: number;
  connectedSince?: Readonly<Record<string, number>>;
}) {
  const { leader, electedMs = 1000, connectedSince = {} } = facts;
  const voters = [1n, 2n, 3n].map((id) => ({ id }));
  return timeoutReason(
    {
      self: 1n,
      electionMs,
      leaderWatch: { leader, electedMs },
      membership: { voters: () => voters as never },
      peers: { connectedSinceMs: (id) => connectedSince[String(id)] },
    },
    // The proposal was made at:
    50_000,
  );
}

describe('why a proposal timed out', () => {
  it('is the leader, if another one was elected while it waited', () => {
    expect(reason({ leader: 2n, electedMs: 51_000, connectedSince: { 2: 0 } })).toBe(
      'TIMEOUT_LEADER_FAILURE',
    );
    expect(reason({ leader: 2n, electedMs: 53_000, connectedSince: { 2: 0 } })).toBe('TIMEOUT');
  });

  it('is not known without a leader', () => {
    expect(reason({ leader: 0n })).toBe('TIMEOUT');
  });

  it('is the link, if the leader was not connected all the time', () => {
    expect(reason({ leader: 2n, connectedSince: { 2: 49_000 } })).toBe('TIMEOUT');
    expect(reason({ leader: 2n, connectedSince: { 2: 51_000 } })).toBe('TIMEOUT_CONNECTION_LOST');
    expect(reason({ leader: 2n })).toBe('TIMEOUT_CONNECTION_LOST');
  });

  it('is the links of the leader itself, if there is no majority behind them', () => {
    expect(reason({ leader: 1n, connectedSince: { 2: 0 } })).toBe('TIMEOUT');
    expect(reason({ leader: 1n, connectedSince: { 2: 51_000 } })).toBe('TIMEOUT_CONNECTION_LOST');
  });
});
