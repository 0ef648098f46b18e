/** The rows of the flag table for backups by a schedule; all of them are kvorum's own. */

import { flagGroup } from './flag-spec.js';

export const backupFlags = flagGroup('backup', [
  [
    'implemented',
    'backup-dir',
    'path',
    '',
    "kvorum's own: where the leader puts backups: a directory, or 's3://bucket/prefix'.",
  ],
  [
    'implemented',
    'backup-schedule',
    'duration',
    '1h',
    "kvorum's own: how often changes are backed up at least.",
    { min: 1000 },
  ],
  [
    'implemented',
    'backup-full-every',
    'int',
    '24',
    "kvorum's own: a full snapshot comes after so many times that, changes in between.",
    { min: 1, max: 1_000_000 },
  ],
  [
    'implemented',
    'backup-retention',
    'text',
    'last=7',
    "kvorum's own: what stays, as 'last=7,hourly=24,daily=30,weekly=8,monthly=12'; '' is all.",
  ],
  [
    'implemented',
    'backup-key-file',
    'path',
    '',
    "kvorum's own: the key that backups are encrypted with, 32 bytes or 64 hexadecimal digits.",
  ],
  [
    'implemented',
    'backup-s3-endpoint',
    'text',
    '',
    "kvorum's own: URL of an S3-compatible store; else AWS_ENDPOINT_URL, else Amazon's.",
  ],
  [
    'implemented',
    'backup-s3-region',
    'text',
    '',
    "kvorum's own: its region; else AWS_REGION, else us-east-1.",
  ],
]);
