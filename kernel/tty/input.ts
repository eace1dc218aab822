// Input on its way from a keyboard, or a pty's master, through the line discipline to the readers.
import { ICANON, PACKET } from '../abi/termios.ts';
import { SIGWINCH } from '../abi/signal.ts';
import { wakeUp } from '../sched/wait-queue.ts';
import { signalGroup } from '../signal/send.ts';
import { kernelSignal } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { now } from '../time/clock.ts';
import { driverWrite, flushOutput, outputStarted, packetEvent } from './driver.ts';
import { newLineEffects, type LineEffects } from './line.ts';
import { lineRoom, receiveByte } from './line-input.ts';
import type { Terminal } from './state.ts';

/** What may wait in front of a line that is full; more is dropped. */
const INCOMING_LIMIT = 65_536;
const HELD_ECHO_LIMIT = 4096;

/** Bytes for the line; they wait where it has no room. */
export function receive(kernel: Kernel, terminal: Terminal, bytes: Uint8Array): void {
  const kept = bytes.slice(0, Math.max(0, INCOMING_LIMIT - terminal.incomingBytes));
  if (kept.length === 0) return;
  terminal.incoming.push(kept);
  terminal.incomingBytes += kept.length;
  takeIncoming(kernel, terminal);
}

/** Feeds the line with what waits, as far as it has room. */
export function takeIncoming(kernel: Kernel, terminal: Terminal): void {
  if (terminal.incomingBytes === 0) return;
  const effects = newLineEffects();
  const { line, termios } = terminal;
  for (let chunk = terminal.incoming[0]; chunk !== undefined; chunk = terminal.incoming[0]) {
    let used = 0;
    while (used < chunk.length && lineRoom(line, termios) > 0)
      receiveByte(line, termios, chunk[used++] ?? 0, effects);
    terminal.incomingBytes -= used;
    if (used < chunk.length) {
      terminal.incoming[0] = chunk.slice(used);
      break;
    }
    terminal.incoming.shift();
  }
  line.lastInputNs = now(kernel);
  apply(kernel, terminal, effects);
  if (terminal.pty !== null) wakeUp(kernel, terminal.pty.writable);
}

function apply(kernel: Kernel, terminal: Terminal, effects: LineEffects): void {
  if (effects.flushed) {
    terminal.heldEcho.length = 0;
    flushOutput(kernel, terminal);
    packetEvent(kernel, terminal, PACKET.flushRead);
  }
  if (effects.started) outputStarted(kernel, terminal);
  if (effects.stopped) packetEvent(kernel, terminal, PACKET.stop);
  if (terminal.line.stopped) {
    terminal.heldEcho.push(...effects.output.slice(0, HELD_ECHO_LIMIT - terminal.heldEcho.length));
  } else driverWrite(kernel, terminal, Uint8Array.from(effects.output));
  for (const signal of effects.signals) {
    if (terminal.foreground !== 0) signalGroup(kernel, terminal.foreground, kernelSignal(signal));
  }
  const raw = (terminal.termios.lflag & ICANON) === 0;
  if (effects.readable || (raw && terminal.line.head !== terminal.line.tail))
    wakeUp(kernel, terminal.readable);
}

/** The window has another size: programs in the foreground get SIGWINCH when it really changed. */
export function setWindowSize(kernel: Kernel, terminal: Terminal, size: Terminal['size']): void {
  const old = terminal.size;
  const same = old.rows === size.rows && old.columns === size.columns && old.xPixels === size.xPixels;
  if (same && old.yPixels === size.yPixels) return;
  terminal.size = size;
  if (terminal.foreground !== 0) signalGroup(kernel, terminal.foreground, kernelSignal(SIGWINCH));
}
