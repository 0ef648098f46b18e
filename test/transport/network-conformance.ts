/**
 * What every implementation of the Network port must do; run against the real sockets and the
 * simulated ones. `settle` lets whatever is under way happen, in simulated or in real time.
 */

import { describe, expect, test } from 'vitest';
import {
  type ByteStream,
  type ByteStreamHandler,
  ConnectionRefusedError,
  type Network,
  type NetworkAddress,
  type TlsOptions,
} from '../../src/common/index.js';

export interface NetworkFixture {
  readonly network: Network;
  readonly address: NetworkAddress;
  readonly serverTls?: TlsOptions;
  readonly clientTls?: TlsOptions;
  /** Waits until `done` says so. */
  until(done: () => boolean): Promise<void>;
  /** Waits for a promise; in simulated time if need be. */
  wait<T>(promise: Promise<T>): Promise<T>;
}

/** Remembers everything it is told. */
class Recorder implements ByteStreamHandler {
  readonly stream: ByteStream;
  readonly chunks: Buffer[] = [];
  bytes = 0;
  ends = 0;
  drains = 0;
  closes = 0;
  error: Error | undefined;
  afterClose = 0;
  onChunk: ((chunk: Buffer) => void) | undefined;

  constructor(stream: ByteStream) {
    this.stream = stream;
    stream.setHandler(this);
  }

  onData(chunk: Buffer): void {
    if (this.closes > 0) this.afterClose++;
    this.chunks.push(Buffer.from(chunk)); // it is only borrowed
    this.bytes += chunk.length;
    this.onChunk?.(chunk);
  }

  onEnd(): void {
    if (this.closes > 0) this.afterClose++;
    this.ends++;
  }

  onDrain(): void {
    if (this.closes > 0) this.afterClose++;
    this.drains++;
  }

  onClose(error: Error | undefined): void {
    this.closes++;
    this.error = error;
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }
}

/** Declares the suite. */
export function networkConformance(name: string, make: () => Promise<NetworkFixture>): void {
  const open = async (): Promise<{
    f: NetworkFixture;
    client: Recorder;
    server: Recorder;
    close(): Promise<void>;
  }> => {
    const f = await make();
    const accepted: Recorder[] = [];
    const listener = await f.wait(
      f.network.listen(f.address, f.serverTls, (stream) => accepted.push(new Recorder(stream))),
    );
    const stream = await f.wait(f.network.connect(listener.address, f.clientTls, 5_000));
    const client = new Recorder(stream);
    await f.until(() => accepted.length === 1);
    const [server] = accepted;
    if (server === undefined) throw new Error('nothing was accepted');
    return { f, client, server, close: () => f.wait(listener.close()) };
  };

  describe(`network: ${name}`, () => {
    test('bytes arrive in order, both ways', async () => {
      const { f, client, server, close } = await open();
      for (let i = 0; i < 100; i++) client.stream.write(Buffer.from(`${i},`));
      server.stream.write(Buffer.from('hello'));
      const expected = Array.from({ length: 100 }, (_, i) => `${i},`).join('');
      await f.until(() => server.bytes === expected.length && client.bytes === 5);
      expect(server.text).toBe(expected);
      expect(client.text).toBe('hello');
      client.stream.destroy();
      await close();
    });

    test('what is corked leaves in order with what is not', async () => {
      const { f, client, server, close } = await open();
      client.stream.write(Buffer.from('a'));
      client.stream.cork();
      client.stream.write(Buffer.from('b'));
      client.stream.write(Buffer.from('c'));
      client.stream.uncork();
      client.stream.write(Buffer.from('d'));
      await f.until(() => server.bytes === 4);
      expect(server.text).toBe('abcd');
      client.stream.destroy();
      await close();
    });

    test('end travels behind the data; after both, each side closes once without error', async () => {
      const { f, client, server, close } = await open();
      client.stream.write(Buffer.alloc(200_000, 1));
      client.stream.end();
      await f.until(() => server.ends === 1);
      expect(server.bytes).toBe(200_000);
      server.stream.write(Buffer.from('reply after the end'));
      server.stream.end();
      await f.until(() => client.closes === 1 && server.closes === 1);
      expect(client.text).toBe('reply after the end');
      expect([client.error, server.error]).toEqual([undefined, undefined]);
      expect(client.afterClose + server.afterClose).toBe(0);
      await close();
    });

    test('a reader that pauses makes write return false; onDrain follows when it resumes', async () => {
      const { f, client, server, close } = await open();
      server.stream.pause();
      let written = 0;
      let room = true;
      while (room && written < 64 * 1024 * 1024) {
        room = client.stream.write(Buffer.alloc(256 * 1024, 7));
        written += 256 * 1024;
        if (room) await f.wait(Promise.resolve());
      }
      expect(room).toBe(false);
      expect(client.stream.backlogBytes()).toBeGreaterThan(0);
      server.stream.resume();
      await f.until(() => server.bytes === written && client.drains > 0);
      expect(client.stream.backlogBytes()).toBe(0);
      client.stream.destroy();
      await close();
    });

    test('destroy: closes here, and the other side learns of it', async () => {
      const { f, client, server, close } = await open();
      client.stream.destroy();
      await f.until(() => client.closes === 1 && server.closes + server.ends > 0);
      server.stream.end();
      await f.until(() => server.closes === 1);
      expect(client.afterClose).toBe(0);
      await close();
    });

    test('writing to a stream that is closed does nothing', async () => {
      const { f, client, server, close } = await open();
      server.stream.destroy();
      client.stream.destroy();
      await f.until(() => client.closes === 1 && server.closes === 1);
      client.stream.write(Buffer.from('x'));
      client.stream.end();
      client.stream.destroy();
      expect(client.closes).toBe(1);
      await close();
    });

    test('a later handler replaces the former', async () => {
      const { f, client, server, close } = await open();
      client.stream.write(Buffer.from('one'));
      await f.until(() => server.bytes === 3);
      const second = new Recorder(server.stream);
      client.stream.write(Buffer.from('two'));
      await f.until(() => second.bytes === 3);
      expect([server.text, second.text]).toEqual(['one', 'two']);
      client.stream.destroy();
      await close();
    });

    test('a second listener on the same address is refused', async () => {
      const f = await make();
      const listener = await f.wait(f.network.listen(f.address, f.serverTls, () => {}));
      const again = f.network.listen(listener.address, f.serverTls, () => {});
      await expect(f.wait(again)).rejects.toThrow();
      await f.wait(listener.close());
    });

    test('closing a listener refuses new streams and leaves open ones alone', async () => {
      const { f, client, server, close } = await open();
      await close();
      client.stream.write(Buffer.from('still here'));
      await f.until(() => server.bytes === 10);
      client.stream.destroy();
      await f.until(() => client.closes === 1);
    });

    test('connecting to nobody is rejected', async () => {
      const f = await make();
      const listener = await f.wait(f.network.listen(f.address, f.serverTls, () => {}));
      await f.wait(listener.close());
      await expect(f.wait(f.network.connect(listener.address, f.clientTls, 2_000))).rejects.toThrow(
        ConnectionRefusedError,
      );
    });
  });
}
