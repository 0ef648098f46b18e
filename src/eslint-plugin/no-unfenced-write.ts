/**
 * A write beside a lock or a leadership that does not ask whether it is still held. Whoever was
 * stopped for longer than the lease writes over what the next owner wrote.
 */

import { isAcquiring, isView, txnChain } from './store.js';
import { bare, methodOf, type Node, type Rule, receiverOf, type Scope } from './syntax.js';

const writes: ReadonlySet<string> = new Set([
  ...['put', 'touch', 'delete', 'deleteRange', 'create', 'replace', 'deleteIf', 'modify'],
]);

export const noUnfencedWrite: Rule = {
  meta: {
    type: 'problem',
    docs: { description: 'what is written under a lock is written with its guard' },
    schema: [],
  },
  create(context) {
    /** The names of what is owned where the node is. */
    const ownedAt = (node: Node): readonly string[] => {
      const names: string[] = [];
      let scope: Scope | null = context.sourceCode.getScope(node);
      while (scope !== null) {
        for (const variable of scope.set.values()) {
          const declared = variable.defs[0]?.node;
          const init = declared?.type === 'VariableDeclarator' ? bare(declared.init) : undefined;
          if (isAcquiring(init)) names.push(variable.name);
        }
        scope = scope.upper;
      }
      return names;
    };
    return {
      CallExpression(node: Node) {
        const name = methodOf(node) ?? '';
        const [begin] = txnChain(node) ?? [];
        const isTxn = name === 'commit' && begin !== undefined;
        const on = isTxn ? receiverOf(begin) : receiverOf(node);
        const relevant = isTxn || name === 'stm' || writes.has(name);
        if (!relevant || !isView(context, on)) return;
        const [owned] = ownedAt(node);
        if (owned === undefined) return;
        const text = context.sourceCode.getText(node);
        if ((isTxn || name === 'stm') && /\bguards?\b/.test(text)) return;
        const message =
          `This ${name}() happens even if ${owned} was lost: ` +
          `write with ${owned}.txn(), or with ${owned}.guard as a condition.`;
        context.report({ node, message });
      },
    };
  },
};
