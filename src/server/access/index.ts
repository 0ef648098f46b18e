/** Who may do what: see access.ts. */
export { type Access, memberCaller, openAccess, type Permissions } from './access.js';
export { AuthState, type AuthTxn, type AuthUser, rootRole, rootUser } from './auth-state.js';
export { decodeHash, encodeHash } from './hash.js';
export { MemberAccess } from './member-access.js';
export { compareNames } from './names.js';
export type { Permission, UserRecord } from './records.js';
export * as authRecords from './records.js';
export { type Requirement, requirementOf } from './requirements.js';
export { noTokens, SignedTokenAccess } from './signed-token-access.js';
export { SimpleTokens, sealOf } from './simple-tokens.js';
export type { Tokens } from './tokens.js';
export { WorkQueue } from './work-queue.js';
