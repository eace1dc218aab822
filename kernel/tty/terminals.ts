// What the host does to terminals, by name: keys, window sizes, and the last output to show again. Unknown names are
// ignored, for input may outlive a terminal.
import type { Kernel } from '../state.ts';
import { receive, setWindowSize } from './input.ts';
import { recentBytes } from './recent.ts';

/** Bytes from the host's keyboard. */
export function terminalInput(kernel: Kernel, name: string, bytes: Uint8Array): void {
  const terminal = kernel.tty.terminals.get(name);
  if (terminal === undefined || (terminal.pty !== null && !terminal.pty.hostHeld)) return;
  receive(kernel, terminal, bytes);
}

/** The host's window has this size now. */
export function terminalResize(kernel: Kernel, name: string, columns: number, rows: number): void {
  const terminal = kernel.tty.terminals.get(name);
  if (terminal !== undefined) setWindowSize(kernel, terminal, { rows, columns, xPixels: 0, yPixels: 0 });
}

/** The last output of a terminal, oldest first: what its screen is drawn from when a machine is opened again. */
export function terminalRecent(kernel: Kernel, name: string): Uint8Array {
  const terminal = kernel.tty.terminals.get(name);
  return terminal === undefined ? new Uint8Array(0) : recentBytes(terminal.recent);
}
