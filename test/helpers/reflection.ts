/**
 * The protocol of gRPC reflection from its specification (grpc/grpc-proto), not from our own .proto
 * files: what a client knows of it that has no others.
 */

import protobuf from 'protobufjs';

const specification = `
syntax = "proto3";
package grpc.reflection.v1;
message ServerReflectionRequest {
  string host = 1;
  oneof message_request {
    string file_by_filename = 3;
    string file_containing_symbol = 4;
    ExtensionRequest file_containing_extension = 5;
    string all_extension_numbers_of_type = 6;
    string list_services = 7;
  }
}
message ExtensionRequest { string containing_type = 1; int32 extension_number = 2; }
message ServerReflectionResponse {
  string valid_host = 1;
  ServerReflectionRequest original_request = 2;
  oneof message_response {
    FileDescriptorResponse file_descriptor_response = 4;
    ExtensionNumberResponse all_extension_numbers_response = 5;
    ListServiceResponse list_services_response = 6;
    ErrorResponse error_response = 7;
  }
}
message FileDescriptorResponse { repeated bytes file_descriptor_proto = 1; }
message ExtensionNumberResponse { string base_type_name = 1; repeated int32 extension_number = 2; }
message ListServiceResponse { repeated ServiceResponse service = 1; }
message ServiceResponse { string name = 1; }
message ErrorResponse { int32 error_code = 1; string error_message = 2; }
`;

const { root } = protobuf.parse(specification, new protobuf.Root(), { keepCase: true });
const requestType = root.lookupType('grpc.reflection.v1.ServerReflectionRequest');
const responseType = root.lookupType('grpc.reflection.v1.ServerReflectionResponse');

/** Full method name; `version` is v1 or v1alpha. */
export function reflectionMethod(version = 'v1'): string {
  return `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
}

/** The services that are reflection itself. */
export const reflectionServices = [
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
];

/** A request with its fields by the names of the specification. */
export type Asked = Readonly<Record<string, unknown>>;

export function encodeAsked(asked: Asked): Buffer {
  return Buffer.from(requestType.encode(requestType.fromObject(asked)).finish());
}

/** What a response may have. */
export interface Reflected {
  readonly valid_host?: string;
  readonly original_request?: Asked;
  readonly file_descriptor_response?: { readonly file_descriptor_proto: readonly Uint8Array[] };
  readonly all_extension_numbers_response?: object;
  readonly list_services_response?: { readonly service: ReadonlyArray<{ readonly name: string }> };
  readonly error_response?: { readonly error_code: number; readonly error_message: string };
}

/** Fields that are not in the response are left out. */
export function decodeReflected(bytes: Uint8Array): Reflected {
  return responseType.toObject(responseType.decode(bytes)) as Reflected;
}

/** Names of the services in an answer to list_services. */
export function servicesOf({ list_services_response }: Reflected): string[] {
  return list_services_response?.service.map(({ name }) => name) ?? [];
}

/** The FileDescriptorProtos of an answer. */
export function filesOf({ file_descriptor_response }: Reflected): readonly Uint8Array[] {
  return file_descriptor_response?.file_descriptor_proto ?? [];
}
