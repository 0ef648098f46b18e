/** Who is a member: the replicated list, its records, and whom it lets in. */
export * from './admission.js';
export * from './cluster-answer.js';
export * from './codec.js';
export * from './identity.js';
export * from './member.js';
export * from './membership.js';
