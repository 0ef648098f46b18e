/**
 * grpc.reflection.v1.ServerReflection; v1alpha is the same on the wire. A request is kept as it was
 * decoded, because each answer repeats it.
 */

import { grpc } from '../generated/etcd.js';
import { type ProtoFile, protoFiles } from '../generated/files.js';
import { ProtoError } from '../hot/index.js';

const { v1 } = grpc.reflection;

/** The .proto files that all messages of this folder are declared in. */
export { type ProtoFile, protoFiles };

/** What a request asks for; `unknown`: nothing, or something of a newer version of the service. */
export type ReflectionQuestion =
  /** A file with all that it imports. */
  | { readonly type: 'file'; readonly name: string }
  /** The file that declares it, with all that it imports. */
  | { readonly type: 'symbol'; readonly name: string }
  /** The file that declares an extension of a message. */
  | { readonly type: 'extension'; readonly message: string; readonly number: number }
  /** The numbers of all extensions of a message. */
  | { readonly type: 'extensionNumbers'; readonly message: string }
  | { readonly type: 'services' }
  | { readonly type: 'unknown' };

export interface ReflectionRequest {
  readonly question: ReflectionQuestion;
  /** For {@link encodeReflectionResponse}. */
  readonly asked: object;
}

/** Throws ProtoError. */
export function decodeReflectionRequest(bytes: Uint8Array): ReflectionRequest {
  try {
    const asked = v1.ServerReflectionRequest.decode(bytes);
    return { asked, question: questionOf(asked) };
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new ProtoError(text, { cause });
  }
}

function questionOf(asked: grpc.reflection.v1.ServerReflectionRequest): ReflectionQuestion {
  switch (asked.message_request) {
    case 'file_by_filename':
      return { type: 'file', name: asked.file_by_filename ?? '' };
    case 'file_containing_symbol':
      return { type: 'symbol', name: asked.file_containing_symbol ?? '' };
    case 'file_containing_extension': {
      const { containing_type, extension_number } = asked.file_containing_extension ?? {};
      return { type: 'extension', message: containing_type ?? '', number: extension_number ?? 0 };
    }
    case 'all_extension_numbers_of_type':
      return { type: 'extensionNumbers', message: asked.all_extension_numbers_of_type ?? '' };
    case 'list_services':
      return { type: 'services' };
    default:
      return { type: 'unknown' };
  }
}

/** The part of a response that does not repeat its request. */
export type ReflectionAnswer =
  /** FileDescriptorProtos. */
  | { readonly type: 'files'; readonly files: readonly Uint8Array[] }
  | { readonly type: 'extensionNumbers'; readonly message: string }
  | { readonly type: 'services'; readonly names: readonly string[] }
  | { readonly type: 'error'; readonly code: number; readonly text: string };

/** Extension numbers are always none: proto3 has them for options only. */
export function encodeReflectionAnswer(answer: ReflectionAnswer): Buffer {
  switch (answer.type) {
    case 'files': {
      const file_descriptor_proto = [...answer.files];
      return encode({ file_descriptor_response: { file_descriptor_proto } });
    }
    case 'extensionNumbers':
      return encode({ all_extension_numbers_response: { base_type_name: answer.message } });
    case 'services': {
      const service = answer.names.map((name) => ({ name }));
      return encode({ list_services_response: { service } });
    }
    case 'error':
      return encode({ error_response: { error_code: answer.code, error_message: answer.text } });
  }
}

/** The whole response: concatenated messages are merged. */
export function encodeReflectionResponse(request: ReflectionRequest, answer: Buffer): Buffer {
  const original_request = request.asked as grpc.reflection.v1.ServerReflectionRequest;
  return Buffer.concat([encode({ valid_host: original_request.host, original_request }), answer]);
}

type ResponseFields = Parameters<typeof v1.ServerReflectionResponse.encode>[0];

function encode(fields: ResponseFields): Buffer {
  return Buffer.from(v1.ServerReflectionResponse.encode(fields).finish());
}
