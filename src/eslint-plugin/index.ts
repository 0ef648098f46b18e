/**
 * `kvorum/client/eslint`: rules for code that uses the client, for what neither a compiler nor a
 * call can refuse. For `eslint.config.js`:
 *
 *     import { recommended } from 'kvorum/client/eslint';
 *     export default [recommended];
 */

import { noFloatingCall } from './no-floating-call.js';
import { noForgottenCommit } from './no-forgotten-commit.js';
import { noIgnoredResult } from './no-ignored-result.js';
import { noUnfencedWrite } from './no-unfenced-write.js';
import type { Node, Rule } from './syntax.js';

/** A rule as ESLint's types want it, of any version: who runs it brings the context. */
export interface ShippedRule {
  readonly meta: Rule['meta'];
  create(context: never): Record<string, (node: Node) => void>;
}

/** All rules, by name. */
export const rules: {
  readonly 'no-forgotten-commit': ShippedRule;
  readonly 'no-floating-call': ShippedRule;
  readonly 'no-ignored-result': ShippedRule;
  readonly 'no-unfenced-write': ShippedRule;
} = {
  'no-forgotten-commit': noForgottenCommit,
  'no-floating-call': noFloatingCall,
  'no-ignored-result': noIgnoredResult,
  'no-unfenced-write': noUnfencedWrite,
};

/** The plugin, as ESLint wants it. */
export const plugin = { meta: { name: 'kvorum' }, rules };

// biome-ignore lint/style/noDefaultExport: what oxlint's jsPlugins and older configurations load
export { plugin as default };

/** All rules as errors; an entry of a flat configuration. */
export const recommended = {
  name: 'kvorum/recommended',
  plugins: { kvorum: plugin },
  rules: {
    'kvorum/no-forgotten-commit': 'error',
    'kvorum/no-floating-call': 'error',
    'kvorum/no-ignored-result': 'error',
    'kvorum/no-unfenced-write': 'error',
  } as const,
};
