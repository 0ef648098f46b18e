/** `defrag`: members give back the room of what is gone, one after the other. */

import { isEtcdError } from '../../client/index.js';
import { command, exit, nanosecondText } from '../command/index.js';
import { ask, urlOf } from '../connect/index.js';
import { failureText, isForPeople } from '../failure/index.js';
import { progress } from '../progress/index.js';
import { defragment } from './rpcs.js';
import { clusterFlag, targetsOf } from './targets.js';

export const defragCommand = command({
  name: 'defrag',
  short: 'Defragments the storage of the members at the endpoints',
  group: 'Cluster maintenance commands',
  flags: { cluster: clusterFlag },
  async run(context, _args, flags) {
    const { io, global } = context;
    const endpoints = await targetsOf(context, flags.cluster);
    const client = await context.client();
    let failures = 0;
    // A member of etcd serves nobody meanwhile: never two at once.
    for (const [at, endpoint] of endpoints.entries()) {
      const startMs = io.clock.nowMs();
      const title = `defragmenting ${endpoint}, ${at + 1} of ${endpoints.length}`;
      const bar = isForPeople(context) ? progress(io, { title, unit: '' }) : undefined;
      let failure: Error | undefined;
      try {
        await ask(client, defragment, {}, { endpoint: urlOf(endpoint, global) });
      } catch (error) {
        if (!isEtcdError(error)) throw error;
        failure = error;
      } finally {
        bar?.end();
      }
      const took = nanosecondText(io.clock.nowMs() - startMs);
      if (failure === undefined) {
        await io.stdout(`Finished defragmenting etcd member[${endpoint}]. took ${took}\n`);
        continue;
      }
      const why = failureText(failure, context);
      io.stderr(`Failed to defragment etcd member[${endpoint}]. took ${took}. (${why})\n`);
      failures += 1;
    }
    return failures === 0 ? exit.ok : exit.error;
  },
});
