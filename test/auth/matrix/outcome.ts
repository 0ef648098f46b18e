/** What a call came to, as one short text: what the auth matrix compares and shows. */

import { GrpcCode } from '../../../src/common/index.js';
import { asFailure } from '../../helpers/grpc.js';

/** `ok`, or the name of a gRPC code and the text of the error. */
export type Outcome = string;

const codeNames = new Map<number, string>(
  Object.entries(GrpcCode).map(([name, code]) => [code, name]),
);

/** The outcome of a call that answers once, or rejects. */
export async function outcomeOf(call: Promise<unknown>): Promise<Outcome> {
  try {
    await call;
    return 'ok';
  } catch (error) {
    const { code, text } = asFailure(error);
    return `${codeNames.get(code) ?? code} ${text}`;
  }
}

/** Short names of the frequent outcomes, as the page has them. */
export const shortNames: ReadonlyMap<Outcome, string> = new Map([
  ['ok', 'ok'],
  ['PERMISSION_DENIED etcdserver: permission denied', 'denied'],
  ['INVALID_ARGUMENT etcdserver: user name is empty', 'nobody'],
  ['UNAUTHENTICATED etcdserver: invalid auth token', 'bad token'],
]);
