/** `endpoint hashkv`: whether the members hold the same. */

import { CommandError, command, exit, flag } from '../command/index.js';
import { failureText } from '../failure/index.js';
import {
  fieldLine,
  headerFields,
  headerOf,
  messageFields,
  messageJson,
  print,
} from '../print/index.js';
import { listShown } from './list-shown.js';
import { hashKv } from './rpcs.js';
import { askEach, clusterFlag, targetsOf } from './targets.js';

const type = 'etcdserverpb.HashKVResponse';

export const endpointHash = command({
  name: 'hashkv',
  short: 'Hashes the history of keys at the endpoints',
  flags: {
    cluster: clusterFlag,
    rev: flag.int64(0n, 'hash up to this revision, instead of the newest'),
  },
  async run(context, _args, flags) {
    const endpoints = await targetsOf(context, flags.cluster);
    const request = { revision: Number(flags.rev) };
    const { said, failure } = await askEach(context, endpoints, 'hash', hashKv, request);
    const hashes = said.map(({ endpoint, bytes }) => {
      const { hash = 0, hash_revision: revision = 0n } = messageFields(bytes, type);
      return { endpoint, bytes, hash: String(hash), revision: String(revision) };
    });
    await print(
      context,
      listShown({
        header: ['endpoint', 'hash', 'hash_revision'],
        rows: hashes.map(({ endpoint, hash, revision }) => [endpoint, hash, revision]),
        json: hashes.map(({ endpoint, bytes }) => ({
          Endpoint: endpoint,
          HashKV: messageJson(bytes, type),
        })),
        fields: () =>
          hashes
            .map(({ endpoint, bytes, hash, revision }) =>
              [
                headerFields(headerOf(bytes, type), context.global.hex),
                fieldLine('Endpoint', endpoint),
                `"Hash" : ${hash}\n"HashRevision" : ${revision}\n\n`,
              ].join(''),
            )
            .join(''),
      }),
    );
    if (failure !== undefined) {
      throw new CommandError(failureText(failure, context), exit.error, { cause: failure });
    }
    return exit.ok;
  },
});
