/**
 * `kvorum/client/grpc-js`, an entry of its own: who does not use grpc-js need not load it.
 *
 * `etcd:///service` as a target for @grpc/grpc-js: its channels follow the registry. The one file
 * here that imports grpc-js, by its experimental interface for name resolvers.
 */

import * as grpc from '@grpc/grpc-js';
import type { EtcdClient } from '../client.js';
import { registry } from './registry.js';
import type { LiveService, RegistryOptions, ServiceSnapshot } from './types.js';

const { registerResolver, splitHostPort } = grpc.experimental;

type ResolverListener = ConstructorParameters<Parameters<typeof registerResolver>[1]>[1];
type GrpcUri = ConstructorParameters<Parameters<typeof registerResolver>[1]>[0];
type GrpcEndpoint = Parameters<typeof grpc.experimental.endpointToString>[0];

export interface GrpcResolverOptions extends Pick<RegistryOptions<unknown, unknown>, 'view'> {
  /** Of the targets, `<scheme>:///<service>`. Default `etcd`, as in Go. */
  readonly scheme?: string;
}

/**
 * From now on channels to `etcd:///service` call the instances registered under that name; how
 * they are chosen among is up to the channel's service config (`round_robin`, say). It is for the
 * whole process; who registers a scheme again replaces it for later channels. A channel keeps a
 * watch of the client until it is closed.
 */
export function registerGrpcResolver(client: EtcdClient, options: GrpcResolverOptions = {}): void {
  const { scheme = 'etcd', view } = options;
  const services = registry(client, view === undefined ? {} : { view });
  registerResolver(
    scheme,
    class {
      readonly #service: string;
      readonly #listener: ResolverListener;
      #live: LiveService<unknown> | undefined;

      constructor(target: GrpcUri, listener: ResolverListener) {
        this.#service = target.path;
        this.#listener = listener;
      }

      static getDefaultAuthority(target: GrpcUri): string {
        return target.path;
      }

      /** The watch says by itself what is new: there is nothing to ask again. */
      updateResolution(): void {
        if (this.#live !== undefined) return;
        const live = services.watch(this.#service);
        this.#live = live;
        void this.#follow(live);
      }

      destroy(): void {
        const live = this.#live;
        this.#live = undefined;
        void live?.close();
      }

      async #follow(live: LiveService<unknown>): Promise<void> {
        try {
          for await (const snapshot of live) {
            if (this.#live !== live) return;
            const endpoints = endpointsOf(snapshot);
            this.#listener({ ok: true, value: endpoints }, {}, null, '');
            // Of an empty list grpc-js forgets to say that calls must fail, and lets them wait.
            if (endpoints.length === 0) this.#fail(`nobody is registered as ${this.#service}`);
          }
        } catch (error) {
          if (this.#live !== live) return;
          // A later attempt of the channel begins anew.
          this.#live = undefined;
          this.#fail(error instanceof Error ? error.message : String(error));
        }
      }

      #fail(details: string): void {
        const metadata = new grpc.Metadata();
        const error = { code: grpc.status.UNAVAILABLE, details, metadata };
        this.#listener({ ok: false, error }, {}, null, '');
      }
    },
  );
}

function endpointsOf({ instances }: ServiceSnapshot<unknown>): GrpcEndpoint[] {
  return instances.flatMap(({ address }): GrpcEndpoint[] => {
    if (address.startsWith('unix:')) return [{ addresses: [{ path: address.slice(5) }] }];
    const parsed = splitHostPort(address);
    // 443 is what gRPC means by no port.
    return parsed === null
      ? []
      : [{ addresses: [{ host: parsed.host, port: parsed.port ?? 443 }] }];
  });
}
