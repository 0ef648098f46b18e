/** What a server says when it refuses a watch. */

/** A refusal is Go's text of a status: `rpc error: code = PermissionDenied desc = ...`. */
export function refusalText(cancelReason: string): string {
  const match = /^rpc error: code = \w+ desc = (.*)$/s.exec(cancelReason);
  return match?.[1] ?? cancelReason;
}

/** gRPC's name in such a text, in capitals; undefined if it has none. */
export function refusalCode(cancelReason: string): string | undefined {
  const name = /^rpc error: code = (\w+) desc = /.exec(cancelReason)?.[1];
  return name?.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase();
}
