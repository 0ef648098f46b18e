/**
 * What of a transcript is compared: all of stdout, the exit code, and stderr but for two things.
 * Lines of the log of etcd's Go client are left out, which tell of calls that failed before the
 * error is said; and of a usage the texts of flags and commands, which are in our own words.
 */

/** A flag, its type, and its default; between them is its text. */
const flagLine = /^(\s+(?:-\w, )?--[\w-]+(?: (?:string|strings|int|uint|duration))?)\s{2,}(.*)$/;

/** The comparable part of a transcript. */
export function comparable(transcript: string): string {
  return (
    transcript
      .split('\n')
      .filter((line) => !/^log (warn|fatal|info): /.test(line))
      .map((line) =>
        line.replace(flagLine, (_all, flag: string, text: string) => {
          return flag + (/ \(default .*\)$/.exec(text)?.[0] ?? '');
        }),
      )
      // What follows is Go's struct, with an address in it.
      .map((line) => line.replace(/(marshal unsupported for type \S+).*/, '$1'))
      // Ours ends so where SIGINT ends etcdctl: a shell says 130 of both.
      .map((line) => line.replace(/^--- exit 130$/, '--- exit -1'))
      // Ids are numbers of any length.
      .map((line) => line.replace(/\(\d+ vs\. /, '(<bytes> vs. '))
      .join('\n')
  );
}
