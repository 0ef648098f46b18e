/** Sizes and counts as people read them. */

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'] as const;

/** `12 B`, `3.4 MB`, `120 GB`: by the rule that etcdctl writes sizes by (go-humanize's). */
export function bytesText(bytes: number): string {
  let step = 0;
  let unitBytes = 1;
  while (bytes >= unitBytes * 1_000 && step < units.length - 1) {
    unitBytes *= 1_000;
    step += 1;
  }
  if (step === 0) return `${bytes} B`;
  const tenths = Math.floor((bytes / unitBytes) * 10 + 0.5);
  const text = tenths < 100 ? (tenths / 10).toFixed(1) : String(halfToEven(tenths));
  return `${text} ${units[step]}`;
}

/** A tenth of a whole number, rounded as Go's %.0f does. */
function halfToEven(tenths: number): number {
  const whole = Math.floor(tenths / 10);
  const rest = tenths % 10;
  return rest > 5 || (rest === 5 && whole % 2 === 1) ? whole + 1 : whole;
}

/** `12,345 keys`; of bytes, see {@link bytesText}. */
export function amountText(amount: number, unit: string): string {
  if (unit === 'bytes') return bytesText(Math.round(amount));
  return `${Math.round(amount).toLocaleString('en-US')} ${unit}`;
}
