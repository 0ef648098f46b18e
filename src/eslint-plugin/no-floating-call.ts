/** A call of the store that nobody waits for: its failure is told to nobody. */

import { isUsed, isView, txnChain } from './store.js';
import { methodOf, type Node, parentOf, type Rule, receiverOf } from './syntax.js';

const calls: ReadonlySet<string> = new Set([
  ...['get', 'exists', 'range', 'count', 'put', 'touch', 'delete', 'deleteRange'],
  ...['create', 'replace', 'deleteIf', 'modify', 'stm'],
]);

export const noFloatingCall: Rule = {
  meta: {
    type: 'problem',
    docs: { description: 'calls of the store are awaited, returned, or `void`' },
    schema: [],
  },
  create(context) {
    return {
      CallExpression(node: Node) {
        if (parentOf(node)?.type !== 'ExpressionStatement') return;
        const name = methodOf(node) ?? '';
        const sent = name === 'commit' && isUsed(txnChain(node) ?? []);
        if (!sent && !(calls.has(name) && isView(context, receiverOf(node)))) return;
        const message = `Nobody waits for this ${name}(), nor learns that it failed: await it.`;
        context.report({ node, message });
      },
    };
  },
};
