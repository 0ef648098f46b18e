/**
 * The anchor of a heading, as GitHub makes it. Pages are read there and on the site, so the site
 * makes the same, and test/docs/links.test.ts checks links against it.
 */
export function slugOf(heading) {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, '')
    .replaceAll(' ', '-');
}
