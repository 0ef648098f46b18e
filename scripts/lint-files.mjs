/**
 * `npm run lint:files`: what is not TypeScript, in the eyes of those who know it: shell scripts,
 * YAML, the Dockerfile, manifests of Kubernetes, the Helm chart, the unit of systemd. What this
 * machine can't get a program for is left out, by name.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';

/** Only ends what hangs. */
const programMs = 300_000;
/** The release that the schemas are of. */
const kubernetes = '1.37.0';
/** As systemd counts it, ten times: what it calls OK. */
const exposureMax = 20;

const yamlRules = `{extends: default, rules: {
  line-length: {max: 110, allow-non-breakable-words: true}, comments: {min-spaces-from-content: 1},
  truthy: {check-keys: false}}}`;

/** Values of the chart whose manifests are checked, as arguments of Helm. */
export const chartVariants = {
  'as it is': [],
  'with everything': [
    ...['tls.client.existingSecret=a', 'tls.client.certAuth=true', 'tls.peer.existingSecret=b'],
    ...['auth.rootPasswordSecret=c', 'auth.jwtSecret=d', 'serviceMonitor.enabled=true'],
    ...['persistence.storageClass=fast', 'priorityClassName=high', 'replicas=5'],
  ].flatMap((each) => ['--set', each]),
};

/** What is checked: which tools of scripts/tools.mjs that needs, and how. Empty: nothing is wrong. */
export const checks = {
  'shell scripts': {
    needs: ['linters'],
    run(root, tools) {
      // Below a warning it is taste: `$secure` that is split on purpose.
      const args = ['--severity=warning', ...shellScripts(root)];
      return said(beside(tools.linters, 'shellcheck'), args, root);
    },
  },
  YAML: {
    needs: ['linters'],
    run(root, tools) {
      const files = filesIn(root).filter((file) => /\.ya?ml$/.test(file) && !isTemplate(file));
      const args = ['-m', 'yamllint', '--strict', '-d', yamlRules, ...files];
      return said(tools.linters.path, args, root);
    },
  },
  Dockerfile: {
    needs: ['linters'],
    run: (root, tools) => {
      return said(beside(tools.linters, 'hadolint'), ['deploy/docker/Dockerfile'], root);
    },
  },
  'manifests of Kubernetes': {
    needs: ['linters'],
    run(root, tools) {
      const dir = join(root, 'deploy/kubernetes');
      return readdirSync(dir)
        .map((name) => validated(tools, readFileSync(join(dir, name), 'utf8')))
        .join('');
    },
  },
  'the Helm chart': {
    needs: ['helm'],
    run: (root, tools) => said(tools.helm.path, ['lint', '--strict', '--quiet', chart], root),
  },
  'manifests of the Helm chart': {
    needs: ['helm', 'linters'],
    run(root, tools) {
      return Object.values(chartVariants)
        .map((values) => validated(tools, chartManifests(root, tools.helm.path, values)))
        .join('');
    },
  },
  'the unit of systemd': {
    needs: ['systemd-analyze'],
    run: unitProblems,
  },
};

const chart = 'deploy/helm/kvorum';

/** What the chart becomes with these values (arguments of Helm). */
export function chartManifests(root, helm, values) {
  const version = ['--kube-version', kubernetes];
  const args = ['template', 'kvorum', chart, '--namespace', 'ns', ...version, ...values];
  const run = spawnSync(helm, args, { cwd: root, encoding: 'utf8', timeout: programMs });
  if (run.status !== 0) throw new Error(`helm template: ${run.error ?? run.stderr}`);
  return run.stdout;
}

/** Runs all that can be run; resolves to the status to end with. */
export async function lint(root, say) {
  const { findTools } = await import('./tools.mjs');
  const needed = new Set(Object.values(checks).flatMap(({ needs }) => needs));
  const tools = await findTools(needed, say);
  let wrong = 0;
  for (const [name, { needs, run }] of Object.entries(checks)) {
    const whys = needs.flatMap((each) => tools[each].why ?? tools[each].error ?? []);
    if (whys.length > 0) {
      say(`${name}: left out, ${whys.join(', ')}`);
      continue;
    }
    const problems = run(root, tools);
    say(`${name}: ${problems === '' ? 'nothing is wrong' : `wrong\n${problems}`}`);
    if (problems !== '') wrong += 1;
  }
  return wrong === 0 ? 0 : 1;
}

/** Against the schemas of Kubernetes, those of kinds that others define left out. */
function validated(tools, manifests) {
  const documents = manifests.split(/^---$/m).filter((text) => /^kind:/m.test(text));
  const known = documents.filter((text) => !/^kind: (ServiceMonitor|Kustomization)$/m.test(text));
  if (known.length === 0) return '';
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-lint-'));
  try {
    writeFileSync(join(dir, 'all.yaml'), known.join('---\n'));
    // It says in words only that it has no schema.
    const args = ['--strict', '--quiet', '-k', kubernetes, 'all.yaml'];
    return allSaid(tools.linters.path, ['-m', 'kubernetes_validate', ...args], dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The program of the unit may not be installed here: another one stands for it. */
function unitProblems(root, tools) {
  const text = readFileSync(join(root, 'deploy/systemd/kvorum.service'), 'utf8');
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-lint-'));
  try {
    const unit = join(dir, 'kvorum.service');
    writeFileSync(unit, text.replace(/^ExecStart=.*/m, `ExecStart=${process.execPath}`));
    const threshold = `--threshold=${exposureMax}`;
    const { path } = tools['systemd-analyze'];
    // Of settings that it does not know it only warns.
    const problems = allSaid(path, ['verify', '--man=no', unit], dir);
    return problems + said(path, ['security', '--offline=true', threshold, unit], dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** What a program says if it does not end well. */
function said(program, args, cwd) {
  return outcomeOf(program, args, cwd, ({ status }) => status === 0);
}

/** What a program says, for one that has nothing to say if nothing is wrong. */
function allSaid(program, args, cwd) {
  return outcomeOf(program, args, cwd, ({ status, stdout, stderr }) => {
    return status === 0 && `${stdout}${stderr}`.trim() === '';
  });
}

function outcomeOf(program, args, cwd, isGood) {
  const run = spawnSync(program, args, { cwd, encoding: 'utf8', timeout: programMs });
  if (isGood(run)) return '';
  return `${relative(cwd, program)} ended with ${run.error ?? run.status}\n${run.stdout}${run.stderr}`;
}

/** A program of the Python environment. */
function beside({ path }, name) {
  return join(dirname(path), name);
}

/** What a shell reads: by its first line, for few have an extension. */
function shellScripts(root) {
  return filesIn(root).filter((file) => {
    if (/\.(ts|mjs|js|json|md|yaml|go|proto)$/.test(file)) return false;
    return /^#!.*\b(ba)?sh\b/.test(readFileSync(join(root, file), 'latin1').slice(0, 80));
  });
}

/** Of Helm: YAML only once it is rendered. */
function isTemplate(file) {
  return file.includes('/templates/');
}

/** All files, from the root, but those that are made or installed. */
function filesIn(root, dir = '.') {
  return readdirSync(join(root, dir), { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (['.git', '.stamp', 'coverage', 'dist', 'node_modules'].includes(entry.name)) return [];
    if (entry.isDirectory()) return filesIn(root, path);
    return entry.isFile() ? [path] : [];
  });
}
