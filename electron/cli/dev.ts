// `npm run dev`: the lab with a screen that is built again at each change of its sources; reload the page to see it. The server and
// the machines start anew when the command does.
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const node = process.execPath;

const builder = spawn(
  node,
  [join(root, 'node_modules/vite/bin/vite.js'), 'build', 'renderer', '--watch', '--mode', 'development'],
  {
    cwd: root,
    stdio: 'inherit',
  },
);
const lab = spawn(node, ['--disable-warning=ExperimentalWarning', join(root, 'electron/cli/start.ts')], {
  cwd: root,
  stdio: 'inherit',
});
lab.on('exit', (code) => {
  builder.kill();
  process.exit(code ?? 0);
});
process.on('SIGINT', () => lab.kill('SIGINT'));
