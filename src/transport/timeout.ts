/** The `grpc-timeout` field: up to eight digits and a unit. */

const unitMs: ReadonlyMap<string, number> = new Map([
  ['H', 3_600_000],
  ['M', 60_000],
  ['S', 1_000],
  ['m', 1],
  ['u', 1e-3],
  ['n', 1e-6],
]);

/** Milliseconds, possibly a fraction; a string says what is wrong with it, in grpc-go's words. */
export function parseTimeout(text: string): number | string {
  if (text.length < 2) return `transport: timeout string is too short: ${JSON.stringify(text)}`;
  if (text.length > 9) return `transport: timeout string is too long: ${JSON.stringify(text)}`;
  const factor = unitMs.get(text.slice(-1));
  if (factor === undefined) {
    return `transport: timeout unit is not recognized: ${JSON.stringify(text)}`;
  }
  const digits = text.slice(0, -1);
  if (!/^[0-9]+$/.test(digits)) {
    return `strconv.ParseInt: parsing ${JSON.stringify(digits)}: invalid syntax`;
  }
  return Number(digits) * factor;
}

/** The finest unit that fits; never below `timeoutMs`, and at most the field's largest value. */
export function formatTimeout(timeoutMs: number): string {
  if (timeoutMs <= 0) return '0n';
  if (timeoutMs < 100) return `${Math.ceil(timeoutMs * 1_000)}u`;
  if (timeoutMs < 1e8) return `${Math.ceil(timeoutMs)}m`;
  if (timeoutMs < 1e11) return `${Math.ceil(timeoutMs / 1_000)}S`;
  return `${Math.min(99_999_999, Math.ceil(timeoutMs / 3_600_000))}H`;
}
