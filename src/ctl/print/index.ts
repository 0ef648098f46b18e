/**
 * Printers: an answer in the formats that etcdctl has. A command says what its answer is (Shown),
 * `print` looks at the flags and prints it.
 */
export { fieldLine, headerFields, headerOf, idLine, messageFields } from './fields.js';
export { goJson, messageJson } from './go-json.js';
export { goQuotedBytes } from './go-quote.js';
export { paintOf } from './paint.js';
export { formatOf, print, unsupported } from './print.js';
export type { Output, Paint, Shown, Table } from './shown.js';
export { tableText } from './table.js';
