/** Each start tells the cluster who this member is: its name, and where clients reach it. */

import { EtcdError, sleep } from '../../common/index.js';
import { EntryKind, type EntryType, newEntry } from '../entry/index.js';
import type { Host } from '../feature/index.js';
import { encodeAttributes, type MemberAttributes } from '../membership/index.js';

/** Before it is tried again: what is refused at once must not be tried again at once for ever. */
const publishPauseMs = 50;

export type AttributesEntry = EntryType<MemberAttributes, true>;

/** Tells the cluster this member's name and client URLs; resolves when that is in the log. */
export async function publishSelf(host: Host, entry: AttributesEntry): Promise<void> {
  const { clock, config, incarnation, logger, memberId, membership } = host;
  const { name, advertiseClientUrls: clientUrls, readOnlyMember: isReadOnly } = config;
  const isKnown = (): boolean => {
    const member = membership.get(memberId);
    return (
      member?.name === name &&
      member.clientUrls.join() === clientUrls.join() &&
      member.incarnation === incarnation &&
      (member.isReadOnly ?? false) === isReadOnly
    );
  };
  const known = isKnown();
  const attributes = { id: memberId, name, clientUrls, incarnation, isReadOnly };
  let told = (): void => {};
  // One that joins may find its entry in the snapshot that it gets, and never apply it.
  membership.onChange(() => {
    if (isKnown()) told();
  });
  for (;;) {
    const error = await new Promise<Error | undefined>((resolve) => {
      // Known is not enough: what came after it in the log has to be applied as well.
      const confirm = (): void => host.read((_context, wrong) => resolve(wrong), undefined);
      told = confirm;
      if (known) confirm();
      else publish(host, entry, attributes, resolve);
    });
    // What changes from now on is no answer to this any more.
    told = () => {};
    if (error === undefined) return;
    if (error instanceof EtcdError && error.reason === 'STOPPED') throw error;
    logger.warn('could not publish this member yet, trying again', { error: error.message });
    await sleep(clock, publishPauseMs);
  }
}

/** Proposes the attributes once; `done` when that has an outcome. */
function publish(
  host: Host,
  entry: AttributesEntry,
  attributes: MemberAttributes,
  done: (error: Error | undefined) => void,
): void {
  const { clock, metrics } = host;
  const startMs = clock.nowMs();
  const data = newEntry(EntryKind.memberAttributes, encodeAttributes(attributes));
  const respond = (_context: undefined, _request: unknown, error: Error | undefined): void => {
    metrics.requestDuration
      .of('ClusterMemberAttrSet', String(error === undefined))
      .observe((clock.nowMs() - startMs) / 1000);
    done(error);
  };
  host.propose(entry, data, attributes, respond, undefined);
}
