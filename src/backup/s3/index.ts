/** Backups in S3, and in what speaks its language. */
export { openS3Target } from './s3-target.js';
