// Faults of user code: page faults go to mm, what remains becomes a signal (SDM 3A 6.15; arch/x86/kernel/traps.c's table).
import { BLOCKED, EACCES, EFAULT, EIO } from '../abi/errno.ts';
import { fpeCode } from '../abi/fxsave.ts';
import {
  BUS_ADRALN, BUS_ADRERR, FPE_INTDIV, ILL_ILLOPN, SEGV_ACCERR, SEGV_MAPERR, SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGTRAP,
  SI_KERNEL, TRAP_TRACE,
} from '../abi/signal.ts'; // prettier-ignore
import { PAGE_FAULT, REGISTER, VECTOR, readRegister, saveFxsave, type Trap } from '../machine/index.ts';
import { handlePageFault } from '../mm/fault.ts';
import type { Task } from '../sched/task.ts';
import { forceSignal, hasHandler } from '../signal/send.ts';
import { newSignalInfo, type SignalInfo } from '../signal/state.ts';
import type { Kernel } from '../state.ts';
import { charge } from '../time/clock.ts';
import { printk } from '../trace/printk.ts';

/** Signal and si_code by vector. */
const signalOfVector: Readonly<Record<number, readonly [signal: number, code: number, name: string]>> = {
  [VECTOR.divideError]: [SIGFPE, FPE_INTDIV, 'divide error'],
  [VECTOR.debug]: [SIGTRAP, TRAP_TRACE, 'debug'],
  [VECTOR.breakpoint]: [SIGTRAP, SI_KERNEL, 'int3'],
  [VECTOR.overflow]: [SIGSEGV, SI_KERNEL, 'overflow'],
  [VECTOR.boundRange]: [SIGSEGV, SI_KERNEL, 'bounds'],
  [VECTOR.invalidOpcode]: [SIGILL, ILL_ILLOPN, 'invalid opcode'],
  [VECTOR.deviceNotAvailable]: [SIGFPE, 0, 'device not available'],
  [VECTOR.segmentNotPresent]: [SIGBUS, SI_KERNEL, 'segment not present'],
  [VECTOR.stackFault]: [SIGBUS, SI_KERNEL, 'stack segment'],
  [VECTOR.generalProtection]: [SIGSEGV, SI_KERNEL, 'general protection fault'],
  [VECTOR.floatingPoint]: [SIGFPE, 0, 'coprocessor error'], // the code is in the status word
  [VECTOR.alignmentCheck]: [SIGBUS, BUS_ADRALN, 'alignment check'],
  [VECTOR.simdFloatingPoint]: [SIGFPE, 0, 'SIMD exception'], // the code is in MXCSR
};

/** Carries out an exception of the current task: resolves the fault, puts the task to sleep, or sends a signal. */
export function handleException(kernel: Kernel, task: Task, trap: Trap): void {
  if (trap.vector === VECTOR.pageFault) {
    pageFault(kernel, task, trap);
    return;
  }
  kernel.trap.exceptions++;
  charge(kernel, 'interrupt');
  const [signal, usual, name] = signalOfVector[trap.vector] ?? [
    SIGSEGV,
    SI_KERNEL,
    `exception ${trap.vector}`,
  ];
  const address = readRegister(kernel.machine, kernel.cpu, REGISTER.rip);
  const code =
    usual === 0
      ? fpeCode(saveFxsave(kernel.machine, kernel.cpu), trap.vector === VECTOR.floatingPoint ? 'x87' : 'sse')
      : usual;
  const atInstruction = signal === SIGFPE || signal === SIGILL;
  const quiet = signal === SIGTRAP || hasHandler(task, signal);
  if (!quiet)
    printk(
      kernel,
      6,
      `traps: ${task.comm}[${task.tid}] ${name} ip:${address.toString(16)} error:${trap.errorCode.toString(16)}`,
    );
  forceSignal(kernel, task, siginfo(trap, signal, code, atInstruction ? address : 0));
}

function pageFault(kernel: Kernel, task: Task, trap: Trap): void {
  const { address, errorCode } = trap;
  kernel.trap.pageFaults++;
  const result = handlePageFault(kernel, task, address, errorCode);
  if (result === 0 || result === BLOCKED) return;
  if (result === EIO) {
    forceSignal(kernel, task, siginfo(trap, SIGBUS, BUS_ADRERR, address));
    return;
  }
  if (result === EFAULT || result === EACCES) {
    if (!hasHandler(task, SIGSEGV)) logSegfault(kernel, task, address, errorCode);
    forceSignal(kernel, task, siginfo(trap, SIGSEGV, result === EACCES ? SEGV_ACCERR : SEGV_MAPERR, address));
    return;
  }
  forceSignal(kernel, task, siginfo(trap, SIGKILL, SI_KERNEL, 0)); // out of memory, and the OOM killer chose this task
}

function logSegfault(kernel: Kernel, task: Task, address: number, errorCode: number): void {
  const ip = readRegister(kernel.machine, kernel.cpu, REGISTER.rip).toString(16);
  const sp = readRegister(kernel.machine, kernel.cpu, REGISTER.rsp).toString(16);
  const code = (errorCode | PAGE_FAULT.user).toString(16);
  printk(
    kernel,
    6,
    `${task.comm}[${task.tid}]: segfault at ${address.toString(16)} ip ${ip} sp ${sp} error ${code}`,
  );
}

/** With what the handler's frame shows as trapno and err. */
function siginfo(trap: Trap, signal: number, code: number, address: number): SignalInfo {
  return newSignalInfo(signal, code, { address, vector: trap.vector, errorCode: trap.errorCode });
}
