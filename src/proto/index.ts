/** The wire formats: the only place that knows protobuf. */
export * from './messages.js';
