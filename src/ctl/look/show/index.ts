/** How what was seen is shown. */
export { type Column, inColumns } from './columns.js';
export { formOf, jsonLine } from './output.js';
export { type Meaning, type Paint, painter, printable, widthOf } from './paint.js';
export { type LiveOptions, showLive } from './screen.js';
export {
  bytesText,
  countText,
  daysUntil,
  dayText,
  idText,
  secondsText,
  shareText,
} from './units.js';
