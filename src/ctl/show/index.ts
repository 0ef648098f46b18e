/** How our own commands show things: columns, colours, units, a live screen, JSON. */
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
  membersText,
  secondsText,
  shareText,
} from './units.js';
