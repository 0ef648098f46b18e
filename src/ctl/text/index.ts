/** Lines of stdin and their words, for the commands that read some. */
export { Lines } from './lines.js';
export { QuoteError, unquoted, wordsOf } from './words.js';
