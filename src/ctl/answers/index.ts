/** Answers with keys and values, as several groups of commands show them. */
export { type KeyAndValue, type KvStyle, keyValueFields, keyValueLines } from './key-value.js';
export { type KubernetesObject, kubernetesObject } from './kubernetes.js';
export { deleteShown, putShown, rangeShown, txnShown } from './kv-answers.js';
export { prettyKey, prettyKeyValue, prettyValue } from './pretty.js';
