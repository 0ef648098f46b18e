/** What a failed call is to who reads it: etcdctl's words, and what helps. */
export { etcdctlText } from './etcdctl-text.js';
export { failureText, isForPeople, type Reader } from './failure.js';
export { fileReason } from './file-reason.js';
export { hintOf } from './hint.js';
