/** The contract between the node and its features. */
export * from './feature.js';
export * from './host.js';
export * from './leader-questions.js';
