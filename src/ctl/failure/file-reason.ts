/** Why a file can't be used, in the words of Go: Node's name the call and the path once more. */

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EEXIST: 'file exists',
  EISDIR: 'is a directory',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
};

/** `no such file or directory`; the message of an error that has no such code. */
export function fileReason(error: unknown): string {
  const { code } = error as { readonly code?: unknown };
  const known = typeof code === 'string' ? reasons[code] : undefined;
  if (known !== undefined) return known;
  return error instanceof Error ? error.message : String(error);
}
