/** The reference: protobufjs reflecting on proto/*.proto, independent of our codecs. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Long from 'long';
import protobuf from 'protobufjs';

protobuf.util.Long = Long;
protobuf.configure();

const dir = fileURLToPath(new URL('../../proto', import.meta.url));
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => (target.startsWith('/') ? target : `${dir}/${target}`);
root.loadSync(
  readdirSync(dir).map((name) => `${dir}/${name}`),
  { keepCase: true },
);

/** Looks up `package.Message`. */
export function reference(name: string): protobuf.Type {
  return root.lookupType(name);
}

/** Encodes an object with wire names; 64-bit numbers as bigint or safe integer. */
export function encodeReference(name: string, value: object): Buffer {
  const type = reference(name);
  return Buffer.from(type.encode(type.fromObject(withLongs(value) as object)).finish());
}

/** Decodes to a plain object with defaults, 64-bit numbers as bigint, bytes as latin1 strings. */
export function decodeReference(name: string, bytes: Uint8Array): Record<string, unknown> {
  const type = reference(name);
  const plain = type.toObject(type.decode(bytes), { defaults: true, arrays: true });
  return withoutLongs(plain) as Record<string, unknown>;
}

/** fromObject does not take bigints. */
function withLongs(value: unknown): unknown {
  if (typeof value === 'bigint') return Long.fromString(value.toString());
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withLongs);
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, withLongs(v)]));
}

function withoutLongs(value: unknown): unknown {
  if (Long.isLong(value)) return value.toBigInt();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutLongs);
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, withoutLongs(v)]));
}
