/** `endpoint`: what each member says of itself. */

import { command } from '../command/index.js';
import { endpointHash } from './endpoint-hash.js';
import { endpointHealth } from './endpoint-health.js';
import { endpointStatus } from './endpoint-status.js';

export const endpointCommand = command({
  name: 'endpoint',
  usage: '<subcommand>',
  short: 'Endpoint related commands',
  group: 'Cluster maintenance commands',
  commands: [endpointHealth, endpointStatus, endpointHash],
});
