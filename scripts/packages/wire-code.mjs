/** Code for the messages that some code uses, and for what these consist of; no others. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** As scripts/generate.mjs, and without what turns messages into plain objects and back. */
const options = ['-t', 'static-module', '-w', 'esm', '--keep-case', '--no-comments']
  .concat(['--no-verify', '--no-typeurl', '--no-delimited', '--no-service'])
  .concat(['--no-convert', '--no-create']);

/** Generates what stands in for src/proto/generated/etcd.js where `code` is all that imports it. */
export async function wireCodeOf(root, code) {
  const used = [...code.matchAll(/\bmessage\(\s*((?:[a-z]\w*\.)+[A-Z]\w*)/g)].map(
    ([, name]) => name,
  );
  if (used.length === 0) throw new Error('the client uses no message: how are codecs made now?');
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-wire-'));
  try {
    const [from, to] = [join(dir, 'used.json'), join(dir, 'used.js')];
    const { namespaces, json } = await onlyUsed(root, used);
    writeFileSync(from, JSON.stringify(json));
    const pbjs = createRequire(import.meta.url)('protobufjs-cli/pbjs');
    await new Promise((resolve, reject) => {
      const done = (error) => (error ? reject(error) : resolve(undefined));
      pbjs.main([...options, '-o', to, from], done);
    });
    const made = readFileSync(to, 'utf8');
    // Tables that are left out in the end still ask for them when modules are joined.
    const absent = namespaces.filter((name) => !made.includes(`export const ${name} =`));
    return [made, ...absent.map((name) => `export const ${name} = undefined;\n`)].join('');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** All outermost namespaces; and the .proto files as JSON, cut down to these messages and what their fields lead to. */
async function onlyUsed(root, used) {
  const { default: protobuf } = await import('protobufjs');
  const { Enum, Namespace, Root, Type } = protobuf;
  const dir = join(root, 'proto');
  const files = readdirSync(dir).filter((name) => name.endsWith('.proto'));
  const paths = files.map((name) => join(dir, name));
  const all = new Root().loadSync(paths, { keepCase: true }).resolveAll();
  const kept = new Set();
  const keep = (item) => {
    if (item === null || kept.has(item)) return;
    kept.add(item);
    for (const field of item instanceof Type ? item.fieldsArray : []) keep(field.resolvedType);
    if (item.parent instanceof Type) keep(item.parent);
  };
  for (const name of used) keep(all.lookupTypeOrEnum(name));
  const prune = (space) => {
    for (const inner of [...space.nestedArray]) {
      const isData = inner instanceof Type || inner instanceof Enum;
      if (isData ? !kept.has(inner) : !(inner instanceof Namespace)) space.remove(inner);
      else if (inner instanceof protobuf.Service) space.remove(inner);
      else if (inner instanceof Namespace) {
        prune(inner);
        if (!isData && inner.nestedArray.length === 0) space.remove(inner);
      }
    }
  };
  const namespaces = all.nestedArray.map(({ name }) => name);
  prune(all);
  return { namespaces, json: all.toJSON() };
}
