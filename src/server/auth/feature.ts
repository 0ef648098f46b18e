/** Users and roles, as clients see and change them; their state is in access/. */

import type { Feature, Host } from '../feature/index.js';
import { authEntries } from './entries.js';
import { authMethods } from './rpc.js';

export function authFeature(host: Host): Feature {
  const { authState: state, logger, tokens } = host;
  const entries = authEntries({ state, tokens, logger });
  return {
    name: 'auth',
    entries: Object.values(entries),
    methods: authMethods(host, entries),
    gauges: () => ({ authRevision: state.revision }),
  };
}
