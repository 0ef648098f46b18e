/**
 * gRPC reflection, in both versions that clients use: what services there are, and the .proto files
 * that say how to call them. Nothing of it depends on the state of the member.
 */

import { GrpcCode, reflectionRequestBytesMax } from '../../common/index.js';
import {
  decodeReflectionRequest,
  encodeReflectionResponse,
  type ReflectionRequest,
} from '../../proto/index.js';
import type { MethodHandler, ServerCall } from '../../transport/index.js';
import type { Feature, Host } from '../feature/index.js';
import { failCall } from '../rpc/index.js';
import { ReflectionAnswers } from './answers.js';

const versions = ['v1', 'v1alpha'];

/** `methods`: full names of all that the member serves, these included. */
export function reflectionFeature(host: Host, methods: () => readonly string[]): Feature {
  let answers: ReflectionAnswers | undefined;
  const handle = (call: ServerCall): void => {
    answers ??= new ReflectionAnswers(servicesOf(methods()));
    serve(host, answers, call);
  };
  return {
    name: 'reflection',
    methods: versions.map((version): readonly [string, MethodHandler] => [
      `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      { kind: 'bidi', handle },
    ]),
  };
}

function servicesOf(methods: readonly string[]): string[] {
  return [...new Set(methods.map((method) => method.split('/')[1] ?? ''))].sort();
}

/** Answers each request of one call, in order. */
function serve(host: Host, answers: ReflectionAnswers, call: ServerCall): void {
  let isFull = false;
  call.onMessage = (message) => {
    const { length } = message;
    if (length > reflectionRequestBytesMax) {
      const sizes = `${length} vs. ${reflectionRequestBytesMax}`;
      call.fail(GrpcCode.RESOURCE_EXHAUSTED, `grpc: received message larger than max (${sizes})`);
      return;
    }
    let request: ReflectionRequest;
    try {
      request = decodeReflectionRequest(message);
    } catch (error) {
      failCall(host, call, error);
      return;
    }
    // An answer is far longer than a request: who does not read is not read from.
    if (call.send(encodeReflectionResponse(request, answers.of(request.question)))) return;
    isFull = true;
    call.pause();
  };
  call.onDrain = () => {
    // Whoever else paused it has reasons of his own.
    if (!isFull) return;
    // First: what is held comes while it resumes, and may fill it again.
    isFull = false;
    call.resume();
  };
  call.onEnd = () => call.end();
}
