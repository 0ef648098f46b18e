/** Who may do what: see access.ts. */
export { type Access, memberCaller, openAccess, type Permissions } from './access.js';
export { type Requirement, requirementOf } from './requirements.js';
