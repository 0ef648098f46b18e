/** A method of gRPC as OpenTelemetry names its parts. */

/** Of `/etcdserverpb.KV/Put`. */
export function grpcOf(method: string): {
  readonly 'rpc.system': 'grpc';
  readonly 'rpc.service': string;
  readonly 'rpc.method': string;
} {
  const [, service = '', name = ''] = method.split('/');
  return { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': name };
}
