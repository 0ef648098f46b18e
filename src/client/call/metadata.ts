/** What may be sent as metadata: checked here, because transports find out too late, or never. */

import { invalidOption } from '../errors.js';
import type { Metadata } from './types.js';

const namePattern = /^[0-9a-z_.-]+$/;
const textPattern = /^[\x20-\x7e]*$/;

/** True for what can be sent as the value of a header, and is not empty. */
export function isHeaderText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '' && textPattern.test(value);
}

/** Throws INVALID_OPTION with the name only: a value may be a secret. */
export function checkMetadata(metadata: Metadata): void {
  for (const [name, value] of Object.entries(metadata)) {
    if (!namePattern.test(name) || name.startsWith('grpc-')) {
      throw invalidOption(`metadata can't be named ${JSON.stringify(name)}`);
    }
    if (typeof value !== 'string' || !textPattern.test(value)) {
      throw invalidOption(`the metadata ${JSON.stringify(name)} must be printable ASCII`);
    }
  }
}
