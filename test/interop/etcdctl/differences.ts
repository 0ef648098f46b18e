/**
 * Where kvorum's answers must differ from those of Debian's etcd 3.4, because kvorum follows 3.7
 * or because the answer is the server's own choice. Each row names the step, the reason and how
 * etcd's transcript becomes the expected one. Anything not listed here must be equal.
 */

/** One known difference. */
export interface Difference {
  /** The step's arguments, joined by blanks. */
  readonly step: string | RegExp;
  readonly reason: string;
  /** What kvorum must answer, given what etcd 3.4 answered. */
  readonly expected: (etcdTranscript: string) => string;
  /** Applied to kvorum's answer first, for what is the server's own choice. */
  readonly own?: (transcript: string) => string;
}

const dropHeader = (transcript: string) =>
  transcript.replace(
    /"header":\{"cluster_id":"<cluster>","member_id":"<member>","revision":\d+,"raft_term":"<term>"\},?/,
    '',
  );

const singleBlanks = (transcript: string) =>
  transcript.replace(/<member> +alarm:NOSPACE ?/g, '<member> alarm:NOSPACE');

/** 3.4 answers with a code that etcdctl tries again after, once or a hundred times. */
const askedOnce = (transcript: string) =>
  transcript
    .replaceAll(
      'Unavailable desc = etcdserver: rpc not supported for learner',
      'FailedPrecondition desc = etcdserver: rpc not supported for learner',
    )
    .replace(/(log warn: .* rpc not supported for learner\n)\1+/, '$1');

/** All known differences. */
export const differences: readonly Difference[] = [
  {
    step: /^get l\/a --keys-only -w json$/,
    reason: '3.7 answers keys-only from the index, which has no lease (C-1.5.10)',
    expected: (transcript) => transcript.replace(/,"lease":("<[a-z0-9]+>"|\d+)/, ''),
  },
  {
    step: /^alarm list -w json$/,
    reason: '3.7 fills the header of Alarm, 3.4 leaves it out (C-1.3.6)',
    expected: (transcript) => transcript,
    own: dropHeader,
  },
  {
    step: /--endpoints <e5>$/,
    reason: 'a learner refuses with FailedPrecondition since 3.6 (C-5.9)',
    expected: askedOnce,
  },
  {
    step: /^endpoint status/,
    reason: 'blanks in the text form of an alarm: Go chooses them anew for each build since 3.7',
    expected: singleBlanks,
    own: singleBlanks,
  },
];

/** The expected and the actual transcript of a step after the known differences. */
export function reconcile(
  stepName: string,
  etcdTranscript: string,
  transcript: string,
): readonly [expected: string, actual: string] {
  let expected = etcdTranscript;
  let actual = transcript;
  for (const row of differences) {
    const hit = typeof row.step === 'string' ? row.step === stepName : row.step.test(stepName);
    if (!hit) continue;
    expected = row.expected(expected);
    actual = row.own?.(actual) ?? actual;
  }
  return [expected, actual];
}
