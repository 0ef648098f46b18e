/**
 * Changes that wait for a release, one file each (packages/.changeset). The tool that is known for
 * such files reads them; their sentences go to the one CHANGELOG.md that all packages have.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { packageTools } from './tools.mjs';

const folder = 'packages/.changeset';

/** Where a change of this size is told of. */
const headings = { major: '### Changed', minor: '### Added', patch: '### Fixed' };

/** Opens the tool's questions; returns the script to run and its folder. */
export function changesetProgram(root, npm) {
  const script = packageTools(root, npm).resolve('@changesets/cli/bin.js');
  return { script, cwd: join(root, 'packages') };
}

/**
 * What waits: the files, the size of the largest change (`undefined` if there is none), and the
 * sentences by heading. The tool is only asked, and installed, where there are files.
 */
export async function pendingChanges(root, npm) {
  const names = readdirSync(join(root, folder)).filter(
    (name) => name.endsWith('.md') && name !== 'README.md',
  );
  if (names.length === 0) return { files: [], size: undefined, sentences: new Map() };
  const tool = packageTools(root, npm)('@changesets/get-release-plan');
  const { changesets } = await (tool.default ?? tool)(join(root, 'packages'));
  const sentences = new Map();
  for (const { summary, releases } of changesets) {
    const heading = headings[largest(releases.map(({ type }) => type))];
    if (heading === undefined) continue;
    sentences.set(heading, [...(sentences.get(heading) ?? []), lineOf(summary)]);
  }
  const types = changesets.flatMap(({ releases }) => releases.map(({ type }) => type));
  return { files: names.map((name) => `${folder}/${name}`), size: largest(types), sentences };
}

/** Adds the sentences to the part of CHANGELOG.md that is not released, below their headings. */
export function withSentences(section, sentences) {
  let text = section.trimEnd();
  for (const [heading, lines] of sentences) {
    const list = lines.join('\n');
    const parts = text.split(/^(?=### )/m);
    const at = parts.findIndex((part) => part.startsWith(`${heading}\n`));
    if (at < 0) text = `${text}\n\n${heading}\n${list}`;
    else {
      parts[at] = `${parts[at].trimEnd()}\n${list}\n\n`;
      text = parts.join('').trimEnd();
    }
  }
  return `${text}\n\n`;
}

function largest(types) {
  return ['major', 'minor', 'patch'].find((type) => types.includes(type));
}

function lineOf(summary) {
  return `- ${summary.trim().replace(/\n+/g, '\n  ')}`;
}
