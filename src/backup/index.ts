/** Backups: how they are written, listed, chosen and read; docs/adr/0017-backups.md. */
export { type Backup, type Catalog, filesOf, readCatalog } from './catalog.js';
export {
  type ChangeLine,
  encodeLine,
  type LeaseLine,
  type Line,
  RevisionDigest,
  readLines,
} from './changes.js';
export { damagedFile } from './damage.js';
export { directoryTarget } from './directory-target.js';
export { type BackupKey, parseKey } from './key.js';
export {
  authText,
  type BackupFile,
  type ChangesFile,
  type KvHash,
  type Manifest,
} from './manifest.js';
export { commandWriter, hex8, isChain, utcText, type WriterName } from './names.js';
export { isS3, openTarget } from './open-target.js';
export { planRestore, type RestorePlan, type RestorePoint } from './plan.js';
export { BackupReader } from './read-backup.js';
export { noRetention, parseRetention, type Retention, toRemove } from './retention.js';
export type { BackupTarget, S3Settings, TargetPorts } from './target.js';
export { BackupWriter, type FullFacts } from './writer.js';
