// The one door for what comes from outside: keys, sizes of terminals, commands and requests of the host. Each entry is
// stamped with virtual time and, by the host, logged with the step at which it came, so that a run can be replayed.
import { runQueueOf, leaveIdle } from '../sched/core.ts';
import { wakeUp, newWaitQueue } from '../sched/wait-queue.ts';
import { signalProcess } from '../signal/send.ts';
import type { Kernel } from '../state.ts';
import { closeHostTerminal, openHostTerminal } from '../tty/host-terminal.ts';
import { terminalInput, terminalResize } from '../tty/terminals.ts';
import { idleUntilNs, machineNs } from '../trap/loop.ts';
import { startHostCommand } from './host-command.ts';
import type { HostAsk } from './host-state.ts';
import { startHostThread } from './host-request.ts';

export type MachineInput =
  | { readonly kind: 'terminal'; readonly terminal: string; readonly bytes: Uint8Array }
  | { readonly kind: 'resize'; readonly terminal: string; readonly columns: number; readonly rows: number }
  | { readonly kind: 'hang-up'; readonly terminal: string }
  | {
      readonly kind: 'command';
      readonly id: number;
      readonly argv: readonly string[];
      readonly environment: readonly string[];
      readonly user: string;
      readonly directory: string;
      /** null: stdio on host pipes; else on a new pty of this size. */
      readonly terminal: { readonly columns: number; readonly rows: number } | null;
    }
  | { readonly kind: 'command-input'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly kind: 'command-end'; readonly id: number }
  | { readonly kind: 'signal'; readonly pid: number; readonly signal: number }
  | { readonly kind: 'request'; readonly id: number; readonly ask: HostAsk }
  | { readonly kind: 'power-off' };

/**
 * Takes an input in at virtual time `atNs`: an idle machine's clock moves on to it, a busy one's is already there or
 * takes it at once.
 */
export function applyInput(kernel: Kernel, input: MachineInput, atNs: number): void {
  if (kernel.powerState !== 'on') return;
  kernel.trap.steps++;
  kernel.cpu = 0;
  if (idleUntilNs(kernel) !== -Infinity)
    leaveIdle(kernel, runQueueOf(kernel, 0), Math.max(atNs, machineNs(kernel)));
  switch (input.kind) {
    case 'terminal':
      terminalInput(kernel, input.terminal, input.bytes);
      return;
    case 'resize':
      terminalResize(kernel, input.terminal, input.columns, input.rows);
      return;
    case 'hang-up':
      closeHostTerminal(kernel, input.terminal);
      return;
    case 'command': {
      const size = input.terminal;
      const terminal = size === null ? '' : openHostTerminal(kernel, size.columns, size.rows);
      startHostCommand(kernel, {
        id: input.id, argv: input.argv, environment: input.environment, user: input.user, directory: input.directory,
        input: [], inputEnded: false, arrived: newWaitQueue(), terminal, pid: 0,
      }); // prettier-ignore
      return;
    }
    case 'command-input':
    case 'command-end':
      feedCommand(kernel, input);
      return;
    case 'signal':
      sendHostSignal(kernel, input.pid, input.signal);
      return;
    case 'request':
      kernel.host.requests.push({ id: input.id, ask: input.ask, data: null });
      startHostThread(kernel);
      wakeUp(kernel, kernel.host.asked);
      return;
    case 'power-off':
      kernel.powerState = 'off';
  }
}

function feedCommand(
  kernel: Kernel,
  input: Extract<MachineInput, { kind: 'command-input' | 'command-end' }>,
): void {
  const command = kernel.host.commands.get(input.id);
  if (command === undefined) return;
  if (input.kind === 'command-end') command.inputEnded = true;
  else if (input.bytes.length > 0) command.input.push(input.bytes);
  wakeUp(kernel, command.arrived);
}

const SI_KERNEL = 0x80;

function sendHostSignal(kernel: Kernel, pid: number, signal: number): void {
  const process = kernel.tasks.get(pid)?.process;
  if (process === undefined || signal < 1 || signal > 64) return;
  signalProcess(kernel, process, {
    signal,
    code: SI_KERNEL,
    errno: 0,
    pid: 0,
    uid: 0,
    status: 0,
    address: 0,
    value: 0n,
  });
}

/** The terminal on which a host command runs; undefined when there is no such command, '' for pipes. */
export function terminalOfCommand(kernel: Kernel, id: number): string | undefined {
  return kernel.host.commands.get(id)?.terminal;
}
