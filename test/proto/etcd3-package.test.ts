/**
 * Our .proto files against those that the npm package etcd3 ships (an older etcd): every message,
 * field and enum value that it knows must be the same in ours. The other tests here only compare
 * with our own files, so a wrong number in them would go unseen.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import protobuf from 'protobufjs';
import { expect, test } from 'vitest';
import { reference } from './reference.js';

const dir = join(dirname(createRequire(import.meta.url).resolve('etcd3/package.json')), 'proto');

function theirTypes(): protobuf.Type[] {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => (target.startsWith('/') ? target : join(dir, target));
  root.loadSync(
    ['kv.proto', 'auth.proto', 'rpc.proto'].map((name) => join(dir, name)),
    { keepCase: true },
  );
  const types: protobuf.Type[] = [];
  const visit = (parent: protobuf.NamespaceBase): void => {
    for (const nested of parent.nestedArray) {
      if (nested instanceof protobuf.Type) types.push(nested);
      if (nested instanceof protobuf.Namespace) visit(nested);
    }
  };
  visit(root);
  return types;
}

test('messages and enums agree with the etcd3 package', () => {
  const differences: string[] = [];
  const types = theirTypes();
  for (const type of types) {
    const name = type.fullName.slice(1);
    const ours = reference(name);
    for (const field of type.fieldsArray) {
      const own = ours.fields[field.name];
      const described = (f: protobuf.Field | undefined): string =>
        f === undefined ? 'missing' : `${f.repeated ? 'repeated ' : ''}${shortType(f)} = ${f.id}`;
      if (described(own) !== described(field)) {
        differences.push(`${name}.${field.name}: ${described(own)}, not ${described(field)}`);
      }
    }
    for (const nested of type.nestedArray) {
      if (!(nested instanceof protobuf.Enum)) continue;
      expect(plainNames(ours.lookupEnum(nested.name).values)).toMatchObject(
        plainNames(nested.values),
      );
    }
  }
  expect(types.length).toBeGreaterThan(60);
  expect(differences).toEqual([]);
});

function shortType(field: protobuf.Field): string {
  return field.type.split('.').at(-1) ?? '';
}

/** The package writes some names of enum values in another style; only numbers are on the wire. */
function plainNames(values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).map(([k, v]) => [k.replaceAll('_', '').toUpperCase(), v]),
  );
}
