// `npm start`: the lab in Electron where its binary is; else the loopback server with a Chromium window; without a display
// it prints the address. `npm start -- --compiler off` is handed to the machines' threads. Ctrl+C saves the open machines and ends.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { parseArguments, UsageError } from './arguments.ts';
import { compilerOf, compilerOption } from './compiler-option.ts';
import { createHub } from '../server/hub.ts';
import { dataFolders } from '../server/folders.ts';
import { startLoopbackServer } from '../server/http-server.ts';

const root = resolve(import.meta.dirname, '../..');
const electron = join(
  root,
  'node_modules/electron/dist',
  process.platform === 'win32' ? 'electron.exe' : 'electron',
);

const say = (text: string): void => void process.stderr.write(`ringside: ${text}\n`);

async function serve(): Promise<void> {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const hub = createHub({ shell: 'browser', version, features: [], ...dataFolders() });
  const server = await startLoopbackServer(
    hub,
    join(root, 'dist/renderer'),
    Number(process.env['RINGSIDE_PORT'] ?? 0),
  );
  process.stdout.write(`${server.address}\n`);
  let window: ChildProcess | null = null;
  const end = async (): Promise<void> => {
    say('saving the open machines …');
    await server.close();
    await hub.close();
    process.exit(0);
  };
  process.once('SIGINT', () => void end());
  process.once('SIGTERM', () => void end());
  const browser = hasDisplay() ? findBrowser() : undefined;
  if (browser === undefined) {
    say('open this address in a browser. Ctrl+C ends the lab and saves the open machines.');
    return;
  }
  const profile = mkdtempSync(join(tmpdir(), 'ringside-window-'));
  const flags = [
    `--app=${server.address}`,
    `--user-data-dir=${profile}`,
    '--no-first-run',
    '--window-size=1440,900',
  ];
  if (process.getuid?.() === 0) flags.push('--no-sandbox');
  window = spawn(browser, flags, { stdio: 'ignore' });
  window.on('exit', () => void end());
  window.on('error', () => say('the browser did not start; open the address above by hand.'));
}

const hasDisplay = (): boolean =>
  process.platform !== 'linux' || Boolean(process.env['DISPLAY']) || Boolean(process.env['WAYLAND_DISPLAY']);

function findBrowser(): string | undefined {
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((path) => existsSync(path));
}

/** Options go to the threads through the environment, which Electron and its workers inherit. Whether the lab may start. */
function takeOptions(): boolean {
  try {
    const args = parseArguments(
      process.argv.slice(2),
      compilerOption,
      'Write: npm start -- --compiler on|off',
    );
    if (args.words.length > 0 || args.rest !== null)
      throw new UsageError('The lab takes no words, only --compiler on|off.');
    if (args.options.has('compiler')) process.env['RINGSIDE_COMPILER'] = compilerOf(args);
    return true;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    say(error.message);
    return false;
  }
}

if (!takeOptions()) process.exitCode = 125;
else if (existsSync(electron) && process.env['RINGSIDE_SHELL'] !== 'browser') {
  const child = spawn(electron, [root], { stdio: 'inherit' });
  child.on('exit', (code) => process.exit(code ?? 0));
} else await serve();
