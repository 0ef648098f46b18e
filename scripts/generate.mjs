/**
 * Generates src/proto/generated/etcd.{js,d.ts} from proto/*.proto with pbjs (static code, ES
 * modules, field names as in the files). Called by run.mjs when a .proto file or this one changed;
 * needs node_modules.
 */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** Writes the generated files below `root`; rejects with pbjs's message. */
export async function generate(root) {
  const protoDir = join(root, 'proto');
  const outDir = join(root, 'src/proto/generated');
  const out = join(outDir, 'etcd.js');
  const files = readdirSync(protoDir)
    .filter((name) => name.endsWith('.proto'))
    .sort();
  mkdirSync(outDir, { recursive: true });
  const pbjs = createRequire(import.meta.url)('protobufjs-cli/pbjs');
  const args = ['-t', 'static-module', '-w', 'esm', '--dts', '--keep-case'];
  args.push('--no-verify', '--no-typeurl', '--no-delimited', '--no-service');
  args.push('-o', out, '-p', protoDir, ...files.map((name) => join(protoDir, name)));
  await new Promise((resolve, reject) => {
    pbjs.main(args, (error) => (error ? reject(error) : resolve(undefined)));
  });
  // The declarations are made from the comments; in the code they only cost start-up time.
  const code = readFileSync(out, 'utf8').replace(/^[ \t]*\/\*\*[\s\S]*?\*\/\n/gm, '');
  writeFileSync(out, code.replace(/\n{3,}/g, '\n\n'));
}
