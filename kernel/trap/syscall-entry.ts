// From the SYSCALL instruction to its handler and back: arguments from registers by declaration, the result to RAX.
// A call that gave BLOCKED runs again, from the same registers, when its task is scheduled next.
import { BLOCKED, ENOSYS, ERESTARTNOHAND, ERESTARTSYS, failed } from '../abi/errno.ts';
import {
  REGISTER, readRegister, readRegisterBig, readRegisterSigned, writeRegister, writeRegisterBig, type RegisterNumber,
} from '../machine/index.ts'; // prettier-ignore
import { endCall } from '../sched/call-progress.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import type { ArgumentKind, SyscallDeclaration } from '../syscalls/declare.ts';
import { syscallTable } from '../syscalls/table.ts';
import { charge, now } from '../time/clock.ts';
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
  task.origRax = readRegister(machine, cpu, REGISTER.rax) % 0x1_0000_0000;
  kernel.trap.syscalls++;
  charge(kernel, 'syscallEntry');
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
  const startNs = now(kernel);
  const declaration = syscallTable[number];
  const result =
    declaration === undefined ? unknownCall(kernel, task, number) : callHandler(kernel, task, declaration);
  count(kernel, number, now(kernel) - startNs, result);
  if (result === BLOCKED) {
    task.inCall = true;
    return;
  }
  task.inCall = false;
  // deliverSignals turns these into EINTR or a restart; a restarted call goes on with its progress.
  if (result === ERESTARTSYS || result === ERESTARTNOHAND) task.flags.restarting = true;
  else endCall(kernel, task);
  if (task.state === 'zombie' || task.state === 'dead') return;
  if (typeof result === 'bigint') writeRegisterBig(kernel.machine, kernel.cpu, REGISTER.rax, result);
  else writeRegister(kernel.machine, kernel.cpu, REGISTER.rax, result);
  if (isOn(kernel, sysExit)) emit(kernel, sysExit, { id: number, ret: Number(result) });
}

function callHandler(kernel: Kernel, task: Task, declaration: SyscallDeclaration): number | bigint {
  const args: Record<string, number | bigint> = {};
  let index = 0;
  for (const name in declaration.args) {
    const type = declaration.args[name];
    const register = ARGUMENT_REGISTERS[index++];
    if (type === undefined || register === undefined) continue;
    args[name] = readArgument(kernel, register, type.kind);
  }
  return declaration.run(kernel, task, args as Parameters<typeof declaration.run>[2]);
}

function readArgument(kernel: Kernel, register: RegisterNumber, kind: ArgumentKind): number | bigint {
  const { machine, cpu } = kernel;
  switch (kind) {
    case 'int':
      return (readRegister(machine, cpu, register) % 0x1_0000_0000) | 0;
    case 'uint':
      return low32(kernel, register);
    case 'long':
      return readRegisterSigned(machine, cpu, register);
    case 'size':
    case 'pointer':
      return readRegister(machine, cpu, register);
    case 'big':
      return readRegisterBig(machine, cpu, register);
  }
}

function low32(kernel: Kernel, register: RegisterNumber): number {
  return Number(readRegisterBig(kernel.machine, kernel.cpu, register) & 0xffff_ffffn);
}

function unknownCall(kernel: Kernel, task: Task, number: number): number {
  if (!kernel.trap.unknownCalls.has(number)) {
    kernel.trap.unknownCalls.add(number);
    printk(kernel, 6, `${task.comm}[${task.tid}]: system call ${number} is not implemented`);
  }
  return ENOSYS;
}

function count(kernel: Kernel, number: number, ns: number, result: number | bigint): void {
  const known = kernel.trap.callCounts.get(number) ?? { count: 0, errors: 0, ns: 0 };
  if (known.count === 0 && known.ns === 0) kernel.trap.callCounts.set(number, known);
  known.ns += ns;
  if (result === BLOCKED) return;
  known.count++;
  if (failed(result)) known.errors++;
}
