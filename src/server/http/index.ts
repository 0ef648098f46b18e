/** What is served over plain HTTP: health, versions, metrics, variables. */
export { debugVars } from './debug-vars.js';
export { healthSource } from './health-source.js';
export { createHttpHandler, type HttpRoutesOptions } from './routes.js';
