// Single steps of a paused machine: one slice, or until the next system call.
import { step } from '../../kernel/index.ts';
import { ProtocolError } from '../protocol/codec.ts';
import { pauseMachine, type OpenMachine } from './machine.ts';

/** More steps than this without a system call end the search. */
const MOST_STEPS = 100_000;

export function stepMachine(machine: OpenMachine, unit: 'instruction' | 'slice' | 'syscall'): void {
  pauseMachine(machine);
  const { kernel } = machine.engine;
  if (machine.stopped !== null)
    throw new ProtocolError('refused', 'The machine is switched off.', 'Start it first.');
  if (unit === 'instruction') {
    // A step is bounded by events only; cutting it at one instruction would make the run another run.
    throw new ProtocolError(
      'refused',
      'Stepping by single instructions is not there yet.',
      'Step by slice or by system call.',
    );
  }
  const before = kernel.trap.syscalls;
  for (let i = 0; i < MOST_STEPS; i++) {
    if (step(kernel) !== 'ran' || unit === 'slice' || kernel.trap.syscalls !== before) return;
  }
}
