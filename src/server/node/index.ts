/** The node: log, Raft and state machine, and what runs on them. Knows no feature. */
export { checkDirectories } from '../bootstrap/index.js';
export { Failure } from './failure.js';
export { helloOf, MemberRemovedError } from './member-links.js';
export { type Node, openNode } from './node.js';
export type { NodePorts, NodeTuning } from './ports.js';
