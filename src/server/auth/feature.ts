/** Users and roles: for now what is asked of a store without any. */

import type { Feature, Host } from '../feature/index.js';
import { authMethods } from './rpc.js';

export function authFeature(host: Host): Feature {
  return { name: 'auth', methods: authMethods(host), gauges: () => ({ authRevision: 1 }) };
}
