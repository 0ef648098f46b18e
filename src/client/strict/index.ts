/** What is refused at the call: names and values that make no sense, with what may have been meant. */

export { described, isThenable } from './described.js';
export { didYouMean } from './did-you-mean.js';
export {
  aBigint,
  aFunction,
  aList,
  anObject,
  anything,
  aSecretObject,
  aSignal,
  aText,
  atLeast,
  type Check,
  checkOneOf,
  checkOptions,
  flag,
  oneOf,
  positive,
  type Shape,
  wholeNumber,
} from './options.js';
