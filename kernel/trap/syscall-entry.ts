// From the SYSCALL instruction to its handler and back: arguments from registers by declaration, the result to RAX.
// A call that gave BLOCKED runs again, from the same registers, when its task is scheduled next.
import { BLOCKED, ENOSYS, ERESTARTNOHAND, ERESTARTSYS, failed } from '../abi/errno.ts';
import {
  REGISTER, readRegister, readRegister32, readRegisterBig, readRegisterSigned, writeRegister, writeRegisterBig,
  type RegisterNumber,
} from '../machine/index.ts'; // prettier-ignore
import { endCall } from '../sched/call-progress.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import type { ArgumentKind, SyscallDeclaration } from '../syscalls/declare.ts';
import { syscallTable } from '../syscalls/table.ts';
import { chargeNs } from '../time/clock.ts';
import { costs } from '../time/costs.ts';
import type { CallCount } from './state.ts';
import { printk } from '../trace/printk.ts';
import { emit, isOn, tracepoint, U64 } from '../trace/tracepoint.ts';

const sysEnter = tracepoint('raw_syscalls', 'sys_enter', {
  id: U64, arg0: 'address', arg1: 'address', arg2: 'address', arg3: 'address', arg4: 'address', arg5: 'address',
}); // prettier-ignore
const sysExit = tracepoint('raw_syscalls', 'sys_exit', { id: U64, ret: 's64' });

const ARGUMENT_REGISTERS: readonly RegisterNumber[] = [
  REGISTER.rdi, REGISTER.rsi, REGISTER.rdx, REGISTER.r10, REGISTER.r8, REGISTER.r9,
]; // prettier-ignore

/** The call that the task has just trapped with. */
export function enterSyscall(kernel: Kernel, task: Task): void {
  const { machine, cpu } = kernel;
  task.origRax = readRegister32(machine, cpu, REGISTER.rax);
  kernel.trap.syscalls++;
  chargeNs(kernel, costs.syscallEntry.ns);
  if (isOn(kernel, sysEnter)) {
    const [arg0 = 0, arg1 = 0, arg2 = 0, arg3 = 0, arg4 = 0, arg5 = 0] = ARGUMENT_REGISTERS.map((register) =>
      readRegister(machine, cpu, register),
    );
    emit(kernel, sysEnter, { id: task.origRax, arg0, arg1, arg2, arg3, arg4, arg5 });
  }
  runSyscall(kernel, task);
}

/** Runs the task's call from its registers: at entry, and again after each BLOCKED. */
export function runSyscall(kernel: Kernel, task: Task): void {
  const number = task.origRax;
  const { cpuNs } = kernel.time;
  const startNs = cpuNs[kernel.cpu] ?? 0;
  const declaration = syscallTable[number];
  const result =
    declaration === undefined ? unknownCall(kernel, task, number) : callHandler(kernel, task, declaration);
  count(kernel, number, (cpuNs[kernel.cpu] ?? 0) - startNs, result);
  if (result === BLOCKED) {
    task.inCall = true;
    return;
  }
  task.inCall = false;
  // deliverSignals turns these into EINTR or a restart; a restarted call goes on with its progress.
  if (result === ERESTARTSYS || result === ERESTARTNOHAND) task.flags.restarting = true;
  else if (task.call !== null) endCall(kernel, task);
  if (task.state === 'zombie' || task.state === 'dead') return;
  if (typeof result === 'bigint') writeRegisterBig(kernel.machine, kernel.cpu, REGISTER.rax, result);
  else writeRegister(kernel.machine, kernel.cpu, REGISTER.rax, result);
  if (isOn(kernel, sysExit)) emit(kernel, sysExit, { id: number, ret: Number(result) });
}

type Arguments = Parameters<SyscallDeclaration['run']>[2];

/** The call that is being made: where a handler's arguments are read from. */
let calling: Kernel | null = null;

/**
 * By number, what the handler is given: each argument is read from its register when the handler takes it, which it does
 * first of all. To make a record with values for every call would cost more than most calls do.
 */
const argumentsOf: (Arguments | undefined)[] = [];

function makeArguments(declaration: SyscallDeclaration): Arguments {
  const args: Arguments = {};
  for (const [index, [name, { kind }]] of Object.entries(declaration.args).entries()) {
    const register = ARGUMENT_REGISTERS[index] ?? REGISTER.rdi;
    Object.defineProperty(args, name, {
      enumerable: true,
      get: () => (calling === null ? 0 : readArgument(calling, register, kind)),
    });
  }
  return args;
}

function callHandler(kernel: Kernel, task: Task, declaration: SyscallDeclaration): number | bigint {
  calling = kernel;
  const args = (argumentsOf[declaration.number] ??= makeArguments(declaration));
  return declaration.run(kernel, task, args);
}

function readArgument(kernel: Kernel, register: RegisterNumber, kind: ArgumentKind): number | bigint {
  const { machine, cpu } = kernel;
  switch (kind) {
    case 'int':
      return readRegister32(machine, cpu, register) | 0;
    case 'uint':
      return readRegister32(machine, cpu, register);
    case 'long':
      return readRegisterSigned(machine, cpu, register);
    case 'size':
    case 'pointer':
      return readRegister(machine, cpu, register);
    case 'big':
      return readRegisterBig(machine, cpu, register);
  }
}

function unknownCall(kernel: Kernel, task: Task, number: number): number {
  if (!kernel.trap.unknownCalls.has(number)) {
    kernel.trap.unknownCalls.add(number);
    printk(kernel, 6, `${task.comm}[${task.tid}]: system call ${number} is not implemented`);
  }
  return ENOSYS;
}

// The rows of the machine that counts at the moment, where an index finds them faster than a hash.
type CallCounts = Kernel['trap']['callCounts'];
let countedIn: CallCounts | null = null;
const rowsByNumber: (CallCount | undefined)[] = [];

function rowOf(counts: CallCounts, number: number): CallCount {
  let row = counts.get(number);
  if (row === undefined) counts.set(number, (row = { count: 0, errors: 0, ns: 0 }));
  return row;
}

function count(kernel: Kernel, number: number, ns: number, result: number | bigint): void {
  const { callCounts } = kernel.trap;
  if (countedIn !== callCounts) {
    countedIn = callCounts;
    rowsByNumber.length = 0;
  }
  const known = (rowsByNumber[number] ??= rowOf(callCounts, number));
  known.ns += ns;
  if (result === BLOCKED) return;
  known.count++;
  if (typeof result === 'number' && failed(result)) known.errors++;
}
