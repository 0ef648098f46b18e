/** Who did what, from where, and what came of it: --audit-log. */
export { Audit } from './audit.js';
export { AuditFile } from './audit-file.js';
