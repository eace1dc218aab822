// The command line's own stdin, given to the guest's command. What is there at the start is read first, so that a run with
// the same input is the same run; more than a mebibyte, and a terminal's keys, come as they come.
import type { OpenMachine, RunningCommand } from '../worker/machine.ts';
import { feedMachine } from '../worker/machine.ts';
import { terminalOfCommand } from '../../kernel/index.ts';

export interface InputAhead {
  readonly bytes: Uint8Array;
  readonly ended: boolean;
}

const READ_AHEAD = 1024 * 1024;

/** Reads stdin to its end, or until a mebibyte is there. A terminal is not read ahead. */
export async function readInputAhead(): Promise<InputAhead> {
  if (process.stdin.isTTY) return { bytes: new Uint8Array(), ended: false };
  const parts: Buffer[] = [];
  let length = 0;
  return new Promise((done) => {
    const finish = (ended: boolean): void => {
      process.stdin.off('data', take).pause();
      done({ bytes: new Uint8Array(Buffer.concat(parts)), ended });
    };
    const take = (chunk: Buffer): void => {
      parts.push(chunk);
      length += chunk.length;
      if (length >= READ_AHEAD) finish(false);
    };
    process.stdin.on('data', take);
    process.stdin.once('end', () => finish(true));
    process.stdin.once('error', () => finish(true)); // no stdin at all
  });
}

/** Connects stdin to a running command; gives what disconnects it. */
export function connectInput(
  machine: OpenMachine,
  command: RunningCommand,
  ahead: InputAhead | null,
  isTty: boolean,
): () => void {
  if (isTty) return connectTerminal(machine, command);
  if (ahead !== null) {
    command.send(ahead.bytes);
    if (ahead.ended) {
      command.endInput();
      return () => undefined;
    }
  }
  const send = (chunk: Buffer): void => command.send(new Uint8Array(chunk));
  const end = (): void => command.endInput();
  process.stdin.on('data', send).once('end', end).resume();
  return () => void process.stdin.off('data', send).off('end', end).pause();
}

function connectTerminal(machine: OpenMachine, command: RunningCommand): () => void {
  const terminal = terminalOfCommand(machine.engine.kernel, command.id) ?? '';
  const listener = {
    terminalOutput(name: string, bytes: Uint8Array) {
      if (name === terminal) process.stdout.write(bytes);
    },
  };
  machine.listeners.add(listener);
  const send = (chunk: Buffer): void =>
    feedMachine(machine, { kind: 'terminal', terminal, bytes: new Uint8Array(chunk) });
  const resize = (): void =>
    feedMachine(machine, {
      kind: 'resize',
      terminal,
      columns: process.stdout.columns ?? 80,
      rows: process.stdout.rows ?? 24,
    });
  if (process.stdin.isTTY) process.stdin.setRawMode(true);
  process.stdin.on('data', send).resume();
  process.stdout.on('resize', resize);
  return () => {
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
    process.stdin.off('data', send).pause();
    process.stdout.off('resize', resize);
    machine.listeners.delete(listener);
  };
}
