/** How a member is told what to be: flags, files, the environment, and what they come to. */
export type { AuditConfig, AuditRule, AuditWhat } from './audit.js';
export type { AuthTokenConfig, JwtConfig } from './auth-token.js';
export * from './config.js';
export type { AutoTls } from './config-auto-tls.js';
export type { BackupConfig } from './config-backup.js';
export {
  type PortTls,
  pairAt,
  readFlagFile,
  type TlsFiles,
  unusableRevocations,
} from './config-tls.js';
export type { FeatureGate } from './feature-gates.js';
export {
  bytesOf,
  type CommandLine,
  type Environment,
  parseCommandLine,
  type ReadFile,
} from './flags.js';
export { helpText, versionText } from './help.js';
export type { LogRotation } from './log-rotation.js';
export type { RateLimit } from './rate-limit.js';
export { RevocationList } from './revocation-list.js';
export { RotatedNames } from './rotated-name.js';
export { canonicalHost, type Naming, UrlComparison } from './same-urls.js';
export { withoutSecrets } from './secrets.js';
export type { TracingConfig } from './tracing.js';
export { parseUrl, type ServerUrl } from './urls.js';
export { quote, UsageError, verifyExitCode } from './usage-error.js';
