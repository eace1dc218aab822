// Terminals of the host: a pty whose master the host holds. What programs write goes straight to the host's screen, named
// pts/N, and never waits; keys come through terminalInput.
import { ENXIO, failed, type Failure } from '../abi/errno.ts';
import { O } from '../abi/open-flags.ts';
import { newAnonymousFile, type OpenFile } from '../fs/vfs/open-file.ts';
import type { Kernel } from '../state.ts';
import { attachFile } from './terminal-files.ts';
import { closeMaster, newPty } from './pty.ts';
import { openPath } from '../fs/vfs/open.ts';
import type { Task } from '../sched/task.ts';

/** A new terminal of this size; gives its name ('pts/3'), '' when all are taken. `owner` is the user who will work at it. */
export function openHostTerminal(kernel: Kernel, columns: number, rows: number, owner = 0): string {
  const terminal = newPty(kernel, owner, 5, true);
  if (failed(terminal)) return '';
  terminal.size = { rows, columns, xPixels: 0, yPixels: 0 };
  return terminal.name;
}

/** The host's window is gone: programs on the terminal get SIGHUP. */
export function closeHostTerminal(kernel: Kernel, name: string): void {
  const terminal = kernel.tty.terminals.get(name);
  if (terminal?.pty?.hostHeld === true) closeMaster(kernel, terminal);
}

/**
 * An open file of a terminal for a program that is about to start on it: through /dev where devpts is mounted, so that
 * ttyname(3) works, else without a name. `task` is the program's own task.
 */
export function openTerminalFile(kernel: Kernel, task: Task, name: string): OpenFile | Failure {
  const terminal = kernel.tty.terminals.get(name);
  if (terminal === undefined) return ENXIO;
  const file = openPath(kernel, task, null, `/dev/${name}`, O.RDWR | O.NOCTTY);
  if (!failed(file)) return file;
  const unnamed = newAnonymousFile(kernel, 'tty', null, O.RDWR, 'char', name);
  if (failed(unnamed)) return unnamed;
  attachFile(unnamed, terminal, false);
  return unnamed;
}
