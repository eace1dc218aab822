// Where a terminal's output goes: to the host's screen, or into the queue that a pty's master reads.
import type { Kernel } from '../state.ts';
import { wakeUp } from '../sched/wait-queue.ts';
import { PACKET } from '../abi/termios.ts';
import { processOutput } from './output.ts';
import { addRecent } from './recent.ts';
import type { Terminal } from './state.ts';

/** What a pty holds between slave and master, as tty_buffer_set_limit leaves it. */
const TO_MASTER_LIMIT = 8192;

/** Bytes that the driver takes now; output that was stopped with ^S takes none. */
export function outputRoom(terminal: Terminal): number {
  if (terminal.line.stopped) return 0;
  const { pty } = terminal;
  if (pty === null || pty.hostHeld || !pty.masterOpen) return Infinity;
  return Math.max(0, TO_MASTER_LIMIT - pty.toMasterBytes);
}

/** Bytes on their way to the master (TIOCOUTQ). */
export function outputQueued(terminal: Terminal): number {
  return terminal.pty !== null && !terminal.pty.hostHeld ? terminal.pty.toMasterBytes : 0;
}

/** Hands processed bytes to the driver. */
export function driverWrite(kernel: Kernel, terminal: Terminal, bytes: Uint8Array): void {
  if (bytes.length === 0) return;
  const { pty } = terminal;
  if (pty !== null && !pty.hostHeld) {
    if (!pty.masterOpen) return;
    pty.toMaster.push(bytes);
    pty.toMasterBytes += bytes.length;
    wakeUp(kernel, pty.readable);
    return;
  }
  addRecent(terminal.recent, bytes);
  kernel.door.terminalOutput(terminal.name, bytes);
}

/** Writes text of the program's or the kernel's through OPOST. */
export function writeProcessed(kernel: Kernel, terminal: Terminal, bytes: Uint8Array): void {
  const out: number[] = [];
  for (const byte of bytes) processOutput(terminal.line, terminal.termios, byte, out);
  driverWrite(kernel, terminal, Uint8Array.from(out));
}

/** Notes an event for a master in packet mode. */
export function packetEvent(kernel: Kernel, terminal: Terminal, event: number): void {
  const { pty } = terminal;
  if (pty === null || !pty.packet) return;
  const opposite: Readonly<Record<number, number>> = {
    [PACKET.stop]: PACKET.start, [PACKET.start]: PACKET.stop, [PACKET.doStop]: PACKET.noStop, [PACKET.noStop]: PACKET.doStop,
  }; // prettier-ignore
  pty.packetStatus = (pty.packetStatus & ~(opposite[event] ?? 0)) | event;
  wakeUp(kernel, pty.readable);
}

/** Throws away output that the master has not read. */
export function flushOutput(kernel: Kernel, terminal: Terminal): void {
  const { pty } = terminal;
  if (pty === null) return;
  pty.toMaster.length = 0;
  pty.toMasterBytes = 0;
  packetEvent(kernel, terminal, PACKET.flushWrite);
  wakeUp(kernel, terminal.writable);
}

/** Output goes on: after ^Q, TCOON, or a signal character. */
export function outputStarted(kernel: Kernel, terminal: Terminal): void {
  const held = terminal.heldEcho.splice(0);
  driverWrite(kernel, terminal, Uint8Array.from(held));
  wakeUp(kernel, terminal.writable);
  packetEvent(kernel, terminal, PACKET.start);
}
