/** A transaction that is built and never sent: it does nothing. */

import { isUsed, txnChain } from './store.js';
import { methodOf, type Node, parentOf, type Rule, variableOf } from './syntax.js';

const message = 'This transaction is never sent: .commit() is missing.';

export const noForgottenCommit: Rule = {
  meta: {
    type: 'problem',
    docs: { description: 'a transaction ends with commit() or asOp()' },
    schema: [],
  },
  create(context) {
    const check = (node: Node): void => {
      const chain = txnChain(node);
      // Only the whole chain: its first calls are inside of it.
      if (chain === undefined || isUsed(chain) || isInside(node)) return;
      const parent = parentOf(node);
      const dropped = /^(ExpressionStatement|AwaitExpression)$/.test(parent?.type ?? '');
      const unused = parent?.type === 'VariableDeclarator' && isUnused(parent);
      if (dropped || unused) context.report({ node, message });
    };
    /** Nobody asks for what it was assigned to. */
    const isUnused = ({ id }: Node): boolean => {
      if (id?.type !== 'Identifier') return false;
      const variable = variableOf(context, id);
      return variable?.references.every(({ init }) => init === true) ?? false;
    };
    return { CallExpression: check };
  },
};

function isInside(node: Node): boolean {
  const { parent } = node;
  return parent?.type === 'MemberExpression' && methodOf(parent.parent) !== undefined;
}
