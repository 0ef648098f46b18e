/** Numbers as people read them. */

const kibi = 1024;
const dayMs = 86_400_000;

/** `1.5 MiB` */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let at = 0;
  for (; value >= kibi && at < units.length - 1; at += 1) value /= kibi;
  return `${at === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

/** `12,345` */
export function countText(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A time in seconds as `850 µs`, `12.3 ms`, `1.50 s`. */
export function secondsText(seconds: number): string {
  if (seconds < 1e-3) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(seconds < 0.1 ? 1 : 0)} ms`;
  return `${seconds.toFixed(2)} s`;
}

/** `37 %` */
export function shareText(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 && share > 0 ? 1 : 0)} %`;
}

/** A day: `2027-03-01`. */
export function dayText(unixMs: number): string {
  return new Date(unixMs).toISOString().slice(0, 10);
}

/** Whole days from `nowMs`, negative if it is over. */
export function daysUntil(unixMs: number, nowMs: number): number {
  return Math.floor((unixMs - nowMs) / dayMs);
}

/** An id as the log and etcdctl show it. */
export function idText(id: bigint | undefined): string {
  return id === undefined ? '?' : id.toString(16);
}

/** `1 member`, `3 members` */
export function membersText(many: number): string {
  return many === 1 ? '1 member' : `${many} members`;
}
