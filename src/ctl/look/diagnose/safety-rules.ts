/** Who can come in, and what keeps them out: TLS, certificates, auth. */

import { daysUntil, dayText } from '../../show/index.js';
import { type Finding, nameOf, namesOf, type Rule } from './finding.js';

const soonDays = 30;

const certificates: Rule = ({ now }) =>
  now.members.flatMap((member): Finding[] => {
    const { endsMs, refusedFor } = member.certificate ?? {};
    if (endsMs === undefined) return [];
    const days = daysUntil(endsMs, now.takenMs);
    const when = dayText(endsMs);
    if (days < 0) {
      return [
        {
          id: 'certificate-ended',
          weight: 'critical',
          what: `The certificate of ${nameOf(member)} ended on ${when}: clients that verify it can't connect.`,
          todo: 'Write a new one over its file; the member reads it by itself.',
        },
      ];
    }
    const findings: Finding[] = [];
    if (days < soonDays) {
      findings.push({
        id: 'certificate-ends',
        weight: 'warning',
        what: `The certificate of ${nameOf(member)} ends on ${when}, in ${days} days.`,
        todo: 'Write a new one over its file; the member reads it by itself.',
      });
    }
    if (refusedFor !== undefined) {
      findings.push({
        id: 'certificate-refused',
        weight: 'warning',
        what: `The certificate of ${nameOf(member)} is not believed here: ${refusedFor}.`,
        todo: 'Give the authority that it comes from as --cacert.',
      });
    }
    return findings;
  });

const noTls: Rule = ({ now }) => {
  const clients = now.members.filter(({ clientUrls }) => clientUrls.some(isOpen));
  const peers = now.members.filter(({ peerUrls }) => peerUrls.some(isOpen));
  const findings: Finding[] = [];
  if (clients.length > 0) {
    findings.push({
      id: 'tls-off',
      weight: 'warning',
      what: `Clients reach ${namesOf(clients)} over the network without TLS: keys, values and passwords can be read on the way.`,
      todo: '--cert-file, --key-file and --trusted-ca-file, or --auto-tls.',
    });
  }
  if (peers.length > 0) {
    findings.push({
      id: 'peer-tls-off',
      weight: 'warning',
      what: `The peer ports of ${namesOf(peers)} have no TLS: whoever reaches one can do anything.`,
      todo: '--peer-cert-file, --peer-key-file, --peer-trusted-ca-file, --peer-client-cert-auth.',
    });
  }
  return findings;
};

/** Plain text, and not only on the machine itself. */
function isOpen(url: string): boolean {
  const match = /^http:\/\/(\[[^\]]*\]|[^:/]*)/.exec(url);
  const host = match?.[1];
  return host !== undefined && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(host);
}

const authOff: Rule = ({ now }) => {
  if (now.authEnabled !== false) return [];
  const isReached = now.members.some(({ clientUrls }) =>
    clientUrls.some((url) => isOpen(url.replace(/^https/, 'http'))),
  );
  return [
    {
      id: 'auth-off',
      weight: isReached ? 'warning' : 'note',
      what: 'Auth is off: whoever can connect may read and change everything.',
      todo: 'docs/auth.md; or let in only clients with certificates (--client-cert-auth).',
    },
  ];
};

const metricsMissing: Rule = ({ now }) =>
  now.members
    .filter(({ status, metrics }) => status !== undefined && metrics === undefined)
    .map((member) => ({
      id: 'metrics-missing',
      weight: 'note',
      what: `The metrics of ${nameOf(member)} could not be read: ${member.metricsError ?? ''}.`,
      todo: 'What is said here of its disk, links and load is incomplete.',
    }));

export const safetyRules: readonly Rule[] = [certificates, noTls, authOff, metricsMissing];
