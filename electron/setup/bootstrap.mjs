// Sets up what is missing, then runs a program of the project with the project's own Node. Plain JavaScript on Node's own
// modules, for it runs before anything is installed and on Node 20.
//
//   node electron/setup/bootstrap.mjs <needs> <program.ts | program.mjs> [argument…]
//
// <needs> is a list of: packages image renderer browser checks (see `steps`), separated by commas. Says what it does on stderr only.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const node = join(root, 'node_modules/node/bin/node');
const electron = join(root, 'node_modules/electron/dist/electron');

/** Where images, packages and compiled JavaScript are kept. */
const cache = process.env.RINGSIDE_CACHE ?? join(homedir(), '.cache/ringside');

const say = (text) => process.stderr.write(`ringside: ${text}\n`);

/** Runs a command with its output on stderr; ends the set-up with a sentence when it fails. */
function run(what, command, args, options = {}) {
  say(`${what} …`);
  const startMs = Date.now();
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], ...options });
  if (result.status !== 0) {
    say(`${what} failed: ${[command, ...args].join(' ')}`);
    if (options.hint) say(options.hint);
    process.exit(125);
  }
  say(`${what}: done in ${((Date.now() - startMs) / 1000).toFixed(1)} s`);
}

function hashOfFile(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** The locked npm packages, and the current Node that one of them brings. */
function packages() {
  const stamp = join(root, 'node_modules/.ringside-lock');
  const wanted = hashOfFile(join(root, 'package-lock.json'));
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
    // Packages bring their binaries ready made; only the package `node` fetches its own in a script.
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    const hint = "Check the network and npm's registry setting, then start again.";
    run('Installing the npm packages (about a minute)', 'npm', ['ci', ...flags], { hint });
    writeFileSync(stamp, wanted);
  }
  if (!existsSync(node)) run('Installing a current Node', 'npm', ['rebuild', 'node', '--loglevel=error']);
}

/** Path, size and time of every file below some folders: what a bundle was made from. */
function fingerprint(folders) {
  const hash = createHash('sha256');
  const visit = (path) => {
    for (const entry of readdirSync(path, { withFileTypes: true }).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    )) {
      const child = join(path, entry.name);
      if (entry.isDirectory()) visit(child);
      else hash.update(`${child.slice(root.length)} ${hashOfFile(child)}\n`);
    }
  };
  for (const folder of folders) visit(join(root, folder));
  return hash.update(hashOfFile(join(root, 'package-lock.json'))).digest('hex');
}

/** The screen's bundle, built when its sources have changed. */
function renderer() {
  const stamp = join(root, 'dist/renderer.stamp');
  const wanted = fingerprint(['renderer', 'electron/protocol', 'electron/preload']);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  run('Building the screen (about half a minute)', node, [
    join(root, 'node_modules/vite/bin/vite.js'),
    'build',
    'renderer',
    '--logLevel',
    'warn',
  ]);
  run('Building the preload script', node, [
    join(root, 'node_modules/vite/bin/vite.js'),
    'build',
    '--config',
    'electron/preload/vite.config.ts',
    '--logLevel',
    'warn',
  ]);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, wanted);
}

/** The base image, from Debian's packages. */
function image() {
  const found =
    existsSync(cache) &&
    readdirSync(cache).some((name) => name.startsWith('base-') && name.endsWith('.ringside-image'));
  if (found) return;
  run('Building the base image from Debian packages (about a minute)', node, [
    join(root, 'electron/cli/ringside.ts'),
    'images',
    'build',
    'base',
  ]);
}

const onPath = (name) => (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, name)));

/** Debian packages, each with a program that shows that it is there. Installed when root, else the command to type. */
function debian(wanted, isRequired) {
  const missing = wanted.filter(([program]) => !onPath(program)).map(([, name]) => name);
  if (missing.length === 0) return;
  const command = `apt-get update && apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (process.getuid?.() === 0 && onPath('apt-get')) {
    run(`Installing ${missing.join(', ')}`, 'sh', ['-c', command], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    return;
  }
  say(
    `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not installed. Type: sudo sh -c '${command}'`,
  );
  if (isRequired) process.exit(125);
}

/** A window: Electron's where its binary is, else Chromium's where there is a display. */
function browser() {
  if (existsSync(electron) || !(process.env.DISPLAY || process.env.WAYLAND_DISPLAY)) return;
  debian([['chromium', 'chromium']], false);
}

/** What the tests call: a browser, e2fsck, the host's C compiler. */
function checks() {
  debian(
    [
      ['chromium', 'chromium'],
      ['e2fsck', 'e2fsprogs'],
      ['gcc', 'gcc libc6-dev'],
      ['tcc', 'tcc'],
    ],
    true,
  );
}

const steps = { packages, image, renderer, browser, checks };

const [needs = '', program = '', ...rest] = process.argv.slice(2);
for (const need of needs.split(',').filter(Boolean)) {
  if (!(need in steps)) {
    say(`there is no set-up step "${need}"; the steps are ${Object.keys(steps).join(', ')}`);
    process.exit(125);
  }
  steps[need]();
}
if (program !== '') {
  const path = [dirname(node), join(root, 'node_modules/.bin'), process.env.PATH ?? ''].join(':');
  // Node keeps the sources' JavaScript and bytecode there: a second less before a command does anything.
  const NODE_COMPILE_CACHE = process.env.NODE_COMPILE_CACHE ?? join(cache, 'javascript');
  const result = spawnSync(node, ['--disable-warning=ExperimentalWarning', join(root, program), ...rest], {
    stdio: 'inherit',
    env: { ...process.env, PATH: path, NODE_COMPILE_CACHE },
  });
  process.exit(result.status ?? 128 + 15);
}
