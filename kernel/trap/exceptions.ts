// Faults of user code: page faults go to mm, what remains becomes a signal (SDM 3A 6.15; arch/x86/kernel/traps.c's table).
import { BLOCKED, EACCES, EFAULT, EIO } from '../abi/errno.ts';
import { PAGE_FAULT, VECTOR, type Trap } from '../machine/index.ts';
import { REGISTER, readRegister } from '../machine/index.ts';
import { handlePageFault } from '../mm/fault.ts';
import type { Task } from '../sched/task.ts';
import { forceSignal } from '../signal/send.ts';
import type { Kernel } from '../state.ts';
import { charge } from '../time/clock.ts';
import { printk } from '../trace/printk.ts';

const SIGILL = 4;
const SIGTRAP = 5;
const SIGBUS = 7;
const SIGFPE = 8;
const SIGKILL = 9;
const SIGSEGV = 11;
const SI_KERNEL = 0x80;

/** Signal and si_code by vector. */
const signalOfVector: Readonly<Record<number, readonly [signal: number, code: number, name: string]>> = {
  [VECTOR.divideError]: [SIGFPE, 1, 'divide error'], // FPE_INTDIV
  [VECTOR.debug]: [SIGTRAP, 2, 'debug'], // TRAP_TRACE
  [VECTOR.breakpoint]: [SIGTRAP, SI_KERNEL, 'int3'],
  [VECTOR.overflow]: [SIGSEGV, SI_KERNEL, 'overflow'],
  [VECTOR.boundRange]: [SIGSEGV, SI_KERNEL, 'bounds'],
  [VECTOR.invalidOpcode]: [SIGILL, 2, 'invalid opcode'], // ILL_ILLOPN
  [VECTOR.deviceNotAvailable]: [SIGFPE, 0, 'device not available'],
  [VECTOR.segmentNotPresent]: [SIGBUS, SI_KERNEL, 'segment not present'],
  [VECTOR.stackFault]: [SIGBUS, SI_KERNEL, 'stack segment'],
  [VECTOR.generalProtection]: [SIGSEGV, SI_KERNEL, 'general protection fault'],
  [VECTOR.floatingPoint]: [SIGFPE, 3, 'coprocessor error'], // FPE_FLTDIV; refined by the handler from the status word
  [VECTOR.alignmentCheck]: [SIGBUS, 1, 'alignment check'],
  [VECTOR.simdFloatingPoint]: [SIGFPE, 3, 'SIMD exception'],
};

/** Carries out an exception of the current task: resolves the fault, puts the task to sleep, or sends a signal. */
export function handleException(kernel: Kernel, task: Task, trap: Trap): void {
  if (trap.vector === VECTOR.pageFault) {
    pageFault(kernel, task, trap.address, trap.errorCode);
    return;
  }
  kernel.trap.exceptions++;
  charge(kernel, 'interrupt');
  const [signal, code, name] = signalOfVector[trap.vector] ?? [SIGSEGV, SI_KERNEL, `exception ${trap.vector}`];
  const address = readRegister(kernel.machine, kernel.cpu, REGISTER.rip);
  const atInstruction = signal === SIGFPE || signal === SIGILL;
  if (signal !== SIGTRAP) printk(kernel, 6, `traps: ${task.comm}[${task.tid}] ${name} ip:${address.toString(16)} error:${trap.errorCode.toString(16)}`);
  forceSignal(kernel, task, siginfo(signal, code, atInstruction ? address : 0));
}

function pageFault(kernel: Kernel, task: Task, address: number, errorCode: number): void {
  kernel.trap.pageFaults++;
  charge(kernel, 'minorFault');
  const result = handlePageFault(kernel, task, address, errorCode);
  if (result === 0 || result === BLOCKED) return;
  if (result === EIO) {
    forceSignal(kernel, task, siginfo(SIGBUS, 2, address)); // BUS_ADRERR
    return;
  }
  if (result === EFAULT || result === EACCES) {
    const ip = readRegister(kernel.machine, kernel.cpu, REGISTER.rip).toString(16);
    const sp = readRegister(kernel.machine, kernel.cpu, REGISTER.rsp).toString(16);
    const code = (errorCode | PAGE_FAULT.user).toString(16);
    printk(kernel, 6, `${task.comm}[${task.tid}]: segfault at ${address.toString(16)} ip ${ip} sp ${sp} error ${code}`);
    forceSignal(kernel, task, siginfo(SIGSEGV, result === EACCES ? 2 : 1, address)); // SEGV_ACCERR, SEGV_MAPERR
    return;
  }
  forceSignal(kernel, task, siginfo(SIGKILL, SI_KERNEL, 0)); // out of memory, and the OOM killer chose this task
}

const siginfo = (signal: number, code: number, address: number) => ({ signal, code, errno: 0, pid: 0, uid: 0, status: 0, address, value: 0n });
