/**
 * What an operator can do about a data directory that can't be used. None of it destroys anything:
 * what is damaged here may be the only copy of something, and may be more readable elsewhere.
 */

/** Something in a member's directory is damaged or missing. */
export const damagedRemedy =
  'Keep this directory, and check the disk. If most of the other members are healthy, replace this ' +
  'one (member remove, member add, start with a new data directory); if not, restore a snapshot ' +
  'with kvorum restore, or a backup.';

/** Two processes want one directory. */
export const inUseRemedy = 'Stop that process, or give each member a data directory of its own.';

/** A newer kvorum wrote it. */
export const newerVersionRemedy = 'Start this data directory with that version of kvorum.';
