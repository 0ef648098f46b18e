/** A whole state on its way from the leader to a member that is too far behind. */
export * from './snapshot-transfer.js';
