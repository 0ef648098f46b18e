/** What is served over plain HTTP: health, versions, metrics, variables. */
export { healthSource } from './health-source.js';
export { createHttpHandler, type HttpRoutesOptions } from './routes.js';
