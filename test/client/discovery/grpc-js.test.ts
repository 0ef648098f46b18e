/** A client and servers of @grpc/grpc-js that find each other through the registry. */

import * as grpc from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { registerGrpcResolver } from '../../../src/client/discovery/grpc-js-resolver.js';
import { registry } from '../../../src/client/index.js';
import { eventually } from '../../helpers/eventually.js';
import { describeTargets } from '../target.js';

const raw = (bytes: Buffer) => bytes;
const who: grpc.MethodDefinition<Buffer, Buffer> = {
  path: '/test.Who/Am',
  requestStream: false,
  responseStream: false,
  requestSerialize: raw,
  requestDeserialize: raw,
  responseSerialize: raw,
  responseDeserialize: raw,
};

async function startServer(name: string): Promise<{ port: number; stop: () => void }> {
  const server = new grpc.Server();
  server.addService(
    { am: who },
    {
      am: (_: unknown, reply: grpc.sendUnaryData<Buffer>) => reply(null, Buffer.from(name)),
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, stop: () => server.forceShutdown() };
}

describeTargets('resolver for grpc-js', {}, (target) => {
  it('calls who is registered, as they come and go', async () => {
    const client = target.client();
    const view = client.kv.namespace(target.prefix());
    registerGrpcResolver(client, { view });
    const services = registry(client, { view });
    const servers = await Promise.all(['one', 'two', 'three'].map(startServer));
    const register = (id: string, at: number) =>
      services.register({ service: 'who', id, address: `127.0.0.1:${servers[at]?.port}` });
    const one = await register('one', 0);
    const two = await register('two', 1);
    const channel = new grpc.Client('etcd:///who', grpc.credentials.createInsecure(), {
      'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
    });
    const call = () =>
      new Promise<string>((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = who;
        const deadline = { deadline: Date.now() + 5000 };
        channel.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          Buffer.alloc(0),
          deadline,
          (error, value) => (value === undefined ? reject(error) : resolve(String(value))),
        );
      });
    const answers = async (expected: string) => {
      const names = new Set<string>();
      await eventually(
        async () => {
          names.clear();
          for (let i = 0; i < 6; i += 1) names.add(await call());
          return [...names].sort().join() === expected ? true : undefined;
        },
        `${expected}, not ${[...names]}`,
      );
    };
    await answers('one,two');
    const three = await register('three', 2);
    await answers('one,three,two');
    await one.close();
    await two.close();
    await answers('three');
    await three.close();
    // At once, not when its deadline has passed.
    const refused = await eventually(
      () =>
        call().then(
          () => undefined,
          (error: grpc.ServiceError) => error,
        ),
      'nobody is there',
    );
    expect(refused).toMatchObject({
      code: grpc.status.UNAVAILABLE,
      details: expect.stringContaining('nobody is registered as who'),
    });
    await register('one', 0);
    await answers('one');
    channel.close();
    for (const { stop } of servers) stop();
  });
});
