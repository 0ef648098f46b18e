/**
 * As much of ESLint and of the syntax tree as the rules use. The package depends on neither: who
 * lints has ESLint. No rule asks for types, so that they work for JavaScript and with any parser
 * of TypeScript; what is a view of a store is told by how it was made and what it is called.
 */

/** A node of ESTree. */
export interface Node {
  readonly type: string;
  readonly parent?: Node;
  readonly name?: string;
  readonly callee?: Node;
  readonly object?: Node;
  readonly property?: Node;
  readonly computed?: boolean;
  readonly argument?: Node | null;
  readonly arguments?: readonly Node[];
  readonly expression?: Node;
  readonly init?: Node | null;
  readonly id?: Node | null;
}

interface Definition {
  readonly type: string;
  readonly node: Node;
}

export interface Variable {
  readonly name: string;
  readonly defs: readonly Definition[];
  readonly references: ReadonlyArray<{ readonly identifier: Node; readonly init?: boolean }>;
}

export interface Scope {
  readonly set: ReadonlyMap<string, Variable>;
  readonly upper: Scope | null;
}

export interface RuleContext {
  readonly sourceCode: {
    getScope(node: Node): Scope;
    getText(node: Node): string;
  };
  report(problem: { readonly node: Node; readonly message: string }): void;
}

export interface Rule {
  readonly meta: {
    readonly type: 'problem';
    readonly docs: { readonly description: string };
    readonly schema: [];
  };
  create(context: RuleContext): Record<string, (node: Node) => void>;
}

/** The name of the method that is called; undefined: it is no call of one. */
export function methodOf(node: Node | null | undefined): string | undefined {
  const callee = node?.type === 'CallExpression' ? node.callee : undefined;
  if (callee?.type !== 'MemberExpression' || callee.computed === true) return undefined;
  return callee.property?.name;
}

/** What the method is called on. */
export function receiverOf(node: Node): Node | undefined {
  return node.callee?.object;
}

/** Without `await`, `(a?.b)` and TypeScript's `as`, `satisfies` and `!`. */
export function bare(node: Node | null | undefined): Node | undefined {
  const around = /^(ChainExpression|TSAsExpression|TSSatisfiesExpression|TSNonNullExpression)$/;
  if (node === null || node === undefined) return undefined;
  if (node.type === 'AwaitExpression') return bare(node.argument);
  return around.test(node.type) ? bare(node.expression) : node;
}

/** The nearest node around it that is not just wrapping: a statement, mostly. */
export function parentOf(node: Node): Node | undefined {
  const { parent } = node;
  if (parent?.type === 'ChainExpression') return parentOf(parent);
  return parent;
}

/** Whom a name means where `at` is. */
export function variableOf(context: RuleContext, at: Node): Variable | undefined {
  const { name } = at;
  if (at.type !== 'Identifier' || name === undefined) return undefined;
  let scope: Scope | null = context.sourceCode.getScope(at);
  while (scope !== null) {
    const found = scope.set.get(name);
    if (found !== undefined) return found;
    scope = scope.upper;
  }
  return undefined;
}

/** What a variable was declared with. */
export function initOf(variable: Variable | undefined): Node | undefined {
  const node = variable?.defs[0]?.node;
  return node?.type === 'VariableDeclarator' ? bare(node.init) : undefined;
}
