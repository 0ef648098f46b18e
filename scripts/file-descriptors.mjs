/**
 * The .proto files as google.protobuf.FileDescriptorProto, as protoc writes them: what gRPC
 * reflection hands out. What our files do not use (options, extensions, groups, proto2) is refused,
 * so that nothing is left out in silence.
 */

import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor.js';

const { Enum, MapField, Root, Service, Type } = protobuf;
const { FileDescriptorProto } = descriptor;

/** FieldDescriptorProto.Type and Label. */
const scalarTypes = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  fixed64: 6,
  fixed32: 7,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
  sfixed32: 15,
  sfixed64: 16,
  sint32: 17,
  sint64: 18,
};
const messageType = 11;
const enumType = 14;
const optional = 1;
const repeated = 3;

/**
 * For each file its name as others import it, what it imports, the full names of all that it
 * declares and of the messages among it, and the bytes. `root`: all files, loaded from `dir` and
 * resolved.
 */
export function fileDescriptors(root, dir, files) {
  return files.map((path) => {
    const name = relative(dir, path).replaceAll('\\', '/');
    const source = readFileSync(path, 'utf8');
    const parsed = protobuf.parse(source, new Root(), { keepCase: true });
    const { package: packageName, imports: dependencies = [], weakImports } = parsed;
    if (!/^syntax = "proto3";$/m.test(source)) throw new Error(`${name}: not proto3`);
    if (packageName === null) throw new Error(`${name}: no package`);
    if (weakImports?.length > 0) throw new Error(`${name}: weak imports`);
    const items = root.lookup(packageName).nestedArray.filter((item) => item.filename === path);
    const symbols = [];
    const file = {
      name,
      package: packageName,
      dependency: dependencies,
      messageType: items.filter((item) => item instanceof Type).map(asMessage),
      enumType: items.filter((item) => item instanceof Enum).map(asEnum),
      service: items.filter((item) => item instanceof Service).map(asService),
      syntax: 'proto3',
    };
    const messages = [];
    for (const item of items) addSymbols(item, symbols, messages);
    const bytes = FileDescriptorProto.encode(FileDescriptorProto.fromObject(file)).finish();
    const base64 = Buffer.from(bytes).toString('base64');
    return { name, dependencies, symbols: symbols.sort(), messages: messages.sort(), base64 };
  });
}

function asMessage(type) {
  plain(type);
  if (type.reserved?.length > 0 || type.extensions?.length > 0) unknown(type);
  const fields = type.fieldsArray;
  const inner = type.nestedArray;
  return {
    name: type.name,
    field: fields.map((field) => asField(field, type)),
    oneofDecl: type.oneofsArray.map(({ name }) => ({ name })),
    nestedType: [
      ...fields.filter((field) => field instanceof MapField).map(asEntry),
      ...inner.filter((item) => item instanceof Type).map(asMessage),
    ],
    enumType: inner.filter((item) => item instanceof Enum).map(asEnum),
  };
}

function asField(field, type) {
  plain(field);
  const { name, id: number } = field;
  const common = { name, number, jsonName: jsonName(name) };
  if (field instanceof MapField) {
    const typeName = `${type.fullName}.${entryName(name)}`;
    return { ...common, label: repeated, type: messageType, typeName };
  }
  const oneofIndex = field.partOf ? type.oneofsArray.indexOf(field.partOf) : undefined;
  const label = field.repeated ? repeated : optional;
  return {
    ...common,
    label,
    ...typeOf(field),
    ...(oneofIndex === undefined ? {} : { oneofIndex }),
  };
}

/** What a map is on the wire. */
function asEntry(field) {
  const key = { name: 'key', number: 1, label: optional, type: scalarTypes[field.keyType] };
  const value = { name: 'value', number: 2, label: optional, ...typeOf(field) };
  return {
    name: entryName(field.name),
    field: [key, value].map((each) => ({ ...each, jsonName: each.name })),
    options: { mapEntry: true },
  };
}

function entryName(name) {
  return `${jsonName(`_${name}`)}Entry`;
}

function typeOf(field) {
  const { resolvedType } = field;
  if (resolvedType === null) {
    const type = scalarTypes[field.type];
    return type === undefined ? unknown(field) : { type };
  }
  const type = resolvedType instanceof Enum ? enumType : messageType;
  return { type, typeName: resolvedType.fullName };
}

function asEnum(item) {
  plain(item);
  if (item.reserved?.length > 0) unknown(item);
  return {
    name: item.name,
    value: Object.entries(item.values).map(([name, number]) => ({ name, number })),
  };
}

function asService(service) {
  plain(service);
  return {
    name: service.name,
    method: service.methodsArray.map((method) => {
      plain(method);
      return {
        name: method.name,
        inputType: method.resolvedRequestType.fullName,
        outputType: method.resolvedResponseType.fullName,
        ...(method.requestStream ? { clientStreaming: true } : {}),
        ...(method.responseStream ? { serverStreaming: true } : {}),
      };
    }),
  };
}

/** Values of an enum are named beside it, as in C++. */
function addSymbols(item, symbols, messages) {
  const name = item.fullName.slice(1);
  symbols.push(name);
  if (item instanceof Enum) {
    const scope = item.parent.fullName.slice(1);
    symbols.push(...Object.keys(item.values).map((value) => `${scope}.${value}`));
  }
  if (item instanceof Service) {
    symbols.push(...item.methodsArray.map((method) => `${name}.${method.name}`));
  }
  if (item instanceof Type) {
    messages.push(name);
    const maps = item.fieldsArray.filter((field) => field instanceof MapField);
    for (const { name: map } of maps) {
      const entry = `${name}.${entryName(map)}`;
      symbols.push(entry, `${entry}.key`, `${entry}.value`);
      messages.push(entry);
    }
    const parts = [...item.fieldsArray, ...item.oneofsArray];
    symbols.push(...parts.map((part) => `${name}.${part.name}`));
    for (const inner of item.nestedArray) addSymbols(inner, symbols, messages);
  }
}

/** lowerCamelCase as protoc makes it. */
function jsonName(name) {
  return name.replace(/_([^_])/g, (_all, letter) => letter.toUpperCase());
}

function plain(item) {
  if (Object.keys(item.options ?? {}).length > 0) unknown(item);
}

function unknown(item) {
  throw new Error(`${item.fullName}: scripts/file-descriptors.mjs does not know what it has`);
}
