/** A change that happens only if a condition holds, and nobody looks whether it did. */

import { isView, txnChain } from './store.js';
import { methodOf, type Node, parentOf, type Rule, receiverOf } from './syntax.js';

const conditional: ReadonlySet<string> = new Set(['create', 'replace', 'deleteIf']);

export const noIgnoredResult: Rule = {
  meta: {
    type: 'problem',
    docs: { description: 'somebody looks whether a conditional change happened' },
    schema: [],
  },
  create(context) {
    return {
      AwaitExpression(node: Node) {
        const call = node.argument ?? undefined;
        if (call === undefined || parentOf(node)?.type !== 'ExpressionStatement') return;
        const name = methodOf(call) ?? '';
        const isChange = conditional.has(name) && isView(context, receiverOf(call));
        const chain = name === 'commit' ? txnChain(call) : undefined;
        const isTxn = chain?.some((stage) => methodOf(stage) === 'if') ?? false;
        if (!isChange && !isTxn) return;
        const message = `This ${name}() may have changed nothing: look at \`ok\` of its result.`;
        context.report({ node: call, message });
      },
    };
  },
};
