/**
 * Generates src/proto/generated/etcd.{js,d.ts} from proto/*.proto with pbjs (static code, ES
 * modules, field names as in the files), and beside it descriptors.{js,d.ts}: what the files say of
 * messages, enums and methods, for whoever works on any message; and files.{js,d.ts}: the files as
 * descriptors for gRPC reflection. Called by run.mjs when a .proto file or one of the scripts
 * changed; needs node_modules.
 */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { fileDescriptors } from './file-descriptors.mjs';

const { Enum, Root, Service, Type } = protobuf;

/** Writes the generated files below `root`; rejects with the parser's message. */
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
  // The older name of a service has no code of its own: its messages are those of the newer.
  const coded = files.filter((name) => !name.endsWith('_v1alpha.proto'));
  args.push('-o', out, '-p', protoDir, ...coded.map((name) => join(protoDir, name)));
  await new Promise((resolve, reject) => {
    pbjs.main(args, (error) => (error ? reject(error) : resolve(undefined)));
  });
  // The declarations are made from the comments; in the code they only cost start-up time.
  const code = readFileSync(out, 'utf8').replace(/^[ \t]*\/\*\*[\s\S]*?\*\/\n/gm, '');
  writeFileSync(out, code.replace(/\n{3,}/g, '\n\n'));
  const paths = files.map((name) => join(protoDir, name));
  const all = new Root().loadSync(paths, { keepCase: true }).resolveAll();
  const described = JSON.stringify(describe(all), undefined, 1);
  writeFileSync(join(outDir, 'descriptors.js'), `export const descriptors = ${described};\n`);
  writeFileSync(join(outDir, 'descriptors.d.ts'), declarations);
  const asFiles = JSON.stringify(fileDescriptors(all, protoDir, paths), undefined, 1);
  writeFileSync(join(outDir, 'files.js'), `export const protoFiles = ${asFiles};\n`);
  writeFileSync(join(outDir, 'files.d.ts'), fileDeclarations);
}

/** Kinds of fields that the readers of the descriptors know. */
const scalars = ['bool', 'int32', 'int64', 'uint32', 'uint64', 'string', 'bytes'];

const declarations = `export interface FieldDescriptor {
  /** As in the .proto file, and in lowerCamelCase. */
  readonly name: string;
  readonly jsonName: string;
  readonly number: number;
  readonly kind: ${[...scalars, 'enum', 'message'].map((kind) => `'${kind}'`).join(' | ')};
  /** Full name of the enum or message; '' for others. */
  readonly type: string;
  readonly repeated: boolean;
  /** Name of the oneof that it belongs to; '' for none. */
  readonly oneof: string;
}
export interface MethodDescriptor {
  /** /package.Service/Method */
  readonly name: string;
  /** Full names of messages. */
  readonly request: string;
  readonly response: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}
export interface Descriptors {
  /** Fields in the order of the file, by full name of the message. */
  readonly messages: Readonly<Record<string, readonly FieldDescriptor[]>>;
  /** Numbers by name, by full name of the enum. */
  readonly enums: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly methods: readonly MethodDescriptor[];
}
export declare const descriptors: Descriptors;
`;

const fileDeclarations = `export interface ProtoFile {
  /** As other files import it. */
  readonly name: string;
  /** Names of the files that it imports itself. */
  readonly dependencies: readonly string[];
  /** Full names of all that it declares, without a leading dot. */
  readonly symbols: readonly string[];
  /** The messages among them. */
  readonly messages: readonly string[];
  /** Its google.protobuf.FileDescriptorProto. */
  readonly base64: string;
}
export declare const protoFiles: readonly ProtoFile[];
`;

/**
 * The descriptors. Maps and fractions are left out: messages with them are in no use. So is
 * reflection: what it says is in no use but on the wire.
 */
function describe(root) {
  const messages = {};
  const enums = {};
  const methods = [];
  const visit = (item) => {
    const name = item.fullName.slice(1);
    if (name === 'grpc.reflection') return;
    if (item instanceof Enum) enums[name] = item.values;
    if (item instanceof Type) {
      const fields = item.fieldsArray.map(describeField);
      if (!fields.includes(undefined)) messages[name] = fields;
    }
    if (item instanceof Service) methods.push(...item.methodsArray.map(describeMethod));
    for (const inner of item.nestedArray ?? []) visit(inner);
  };
  visit(root);
  return { messages, enums, methods };
}

function describeField(field) {
  const { name, id: number, repeated, map } = field;
  const resolved = field.resolvedType;
  const kind = resolved === null ? field.type : resolved instanceof Enum ? 'enum' : 'message';
  if (map || (resolved === null && !scalars.includes(kind))) return undefined;
  const jsonName = name.replace(/_([^_])/g, (_all, letter) => letter.toUpperCase());
  const type = resolved === null ? '' : resolved.fullName.slice(1);
  return { name, jsonName, number, kind, type, repeated, oneof: field.partOf?.name ?? '' };
}

function describeMethod(method) {
  return {
    name: `/${method.parent.fullName.slice(1)}/${method.name}`,
    request: method.resolvedRequestType.fullName.slice(1),
    response: method.resolvedResponseType.fullName.slice(1),
    requestStream: method.requestStream === true,
    responseStream: method.responseStream === true,
  };
}
