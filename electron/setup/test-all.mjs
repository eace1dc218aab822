// `npm test`: everything that CI does, one part after the other, and a closing line `N passed, N failed`. A part that
// runs tests counts them; one that checks (lint, layers, types, dead code) counts as one.
//
//   node electron/setup/test-all.mjs [part…]     only the named parts
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, mkdirSync, existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const results = join(root, 'test-results');
mkdirSync(results, { recursive: true });

const bin = (name) => join(root, 'node_modules/.bin', name);
const projects = {
  kernel: 'kernel',
  'kernel-tests': 'kernel/tsconfig.tests.json',
  images: 'images',
  electron: 'electron',
  e2e: 'e2e',
  testing: 'renderer/testing',
};

/** Counts from a Vitest or Playwright JSON report. */
function countsOf(file, read) {
  return () => {
    const path = join(results, file);
    if (!existsSync(path)) return null;
    return read(JSON.parse(readFileSync(path, 'utf8')));
  };
}

const vitest = (name, args) => ({
  name,
  command: [
    bin('vitest'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${join(results, `${name}.json`)}`,
    ...args,
  ],
  counts: countsOf(`${name}.json`, (report) => ({
    passed: report.numPassedTests,
    failed: report.numFailedTests + report.numFailedTestSuites * (report.numFailedTests === 0 ? 1 : 0),
  })),
  clear: `${name}.json`,
});

const parts = [
  { name: 'format', command: [bin('prettier'), '--check', '--log-level', 'warn', '.'] },
  { name: 'lint', command: [bin('eslint'), '--max-warnings=0', '.'] },
  {
    name: 'layers',
    command: [
      bin('depcruise'),
      '--config',
      '.dependency-cruiser.cjs',
      'kernel',
      'images',
      'electron',
      'renderer',
    ],
  },
  ...Object.entries(projects).map(([name, path]) => ({
    name: `types-${name}`,
    command: [bin('tsc'), '-p', path],
  })),
  { name: 'types-renderer', command: [bin('vue-tsc'), '-p', 'renderer', '--noEmit'] },
  { name: 'dead-code', command: [bin('knip'), '--no-progress'] },
  vitest('unit', []),
  {
    // The instructions against this host's CPU, from fixed seeds; where there is none, against recorded vectors
    name: 'lockstep',
    command: [process.execPath, 'kernel/machine/lockstep/lockstep.ts', '--minutes', '5'],
  },
  {
    name: 'robust',
    command: [process.execPath, 'kernel/machine/lockstep/fuzz.ts', '--minutes', '2'],
  },
  vitest('guest', ['--config', 'vitest.guest.config.ts']),
  {
    name: 'end-to-end',
    command: [bin('playwright'), 'test', '--config', 'e2e/playwright.config.ts'],
    environment: { PLAYWRIGHT_JSON_OUTPUT_NAME: join(results, 'end-to-end.json') },
    counts: countsOf('end-to-end.json', ({ stats }) => ({
      passed: stats.expected + stats.flaky,
      failed: stats.unexpected,
    })),
    clear: 'end-to-end.json',
  },
];

const wanted = process.argv.slice(2);
let passed = 0;
let failed = 0;
const lines = [];
for (const part of parts) {
  if (wanted.length > 0 && !wanted.some((name) => part.name === name || part.name.startsWith(`${name}-`)))
    continue;
  if (part.clear) rmSync(join(results, part.clear), { force: true });
  console.log(`\n== ${part.name}`);
  const startMs = Date.now();
  const [command, ...args] = part.command;
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...part.environment },
  });
  const counts = part.counts?.() ?? { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1 };
  if (status !== 0 && counts.failed === 0) counts.failed = 1;
  passed += counts.passed;
  failed += counts.failed;
  lines.push(
    `${counts.failed === 0 ? 'ok  ' : 'FAIL'} ${part.name.padEnd(16)} ${String(counts.passed).padStart(5)} passed ${String(counts.failed).padStart(4)} failed ${((Date.now() - startMs) / 1000).toFixed(0).padStart(5)} s`,
  );
}
console.log(`\n${lines.join('\n')}\n\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
