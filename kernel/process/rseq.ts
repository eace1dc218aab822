// Restartable sequences (rseq(2), kernel/rseq.c): on the way to user mode after a task was off its CPU, the CPU's number is
// put into the thread's struct rseq, and a critical section that was cut short goes to its abort handler.
import { BLOCKED, EFAULT, failed, type Failure } from '../abi/errno.ts';
import { RSEQ_CPU_ID, RSEQ_CPU_ID_START, RSEQ_CS, RSEQ_CS_BYTES } from '../abi/rseq.ts';
import { SIGSEGV, SI_KERNEL } from '../abi/signal.ts';
import { get32, get64 } from '../lib/bytes.ts';
import { REGISTER, readRegister, writeRegister } from '../machine/index.ts';
import { loadUser32, loadUser64, readUser, storeUser32, storeUserBig } from '../mm/user-memory.ts';
import { signalPending } from '../sched/signal-pending.ts';
import type { Task } from '../sched/task.ts';
import { forceSignal } from '../signal/send.ts';
import { newSignalInfo } from '../signal/state.ts';
import type { Kernel } from '../state.ts';

/** Called before user code or a handler runs; does something only after the task has been switched, or for a signal. */
export function rseqUpdate(kernel: Kernel, task: Task): void {
  const registered = task.rseq;
  if (registered === null) return;
  if (registered.switches === task.sched.switchCount && !signalPending(task)) return;
  const done = update(kernel, task, registered.address, registered.signature);
  if (done === BLOCKED) return;
  registered.switches = task.sched.switchCount;
  if (failed(done)) forceSignal(kernel, task, newSignalInfo(SIGSEGV, SI_KERNEL));
}

function update(kernel: Kernel, task: Task, address: number, signature: number): number | Failure {
  const sectionAddress = loadUser64(kernel, task, address + RSEQ_CS);
  if (failed(sectionAddress)) return sectionAddress;
  if (sectionAddress !== 0) {
    const left = leaveSection(kernel, task, address, sectionAddress, signature);
    if (failed(left)) return left;
  }
  const stored = storeUser32(kernel, task, address + RSEQ_CPU_ID_START, kernel.cpu);
  return failed(stored) ? stored : storeUser32(kernel, task, address + RSEQ_CPU_ID, kernel.cpu);
}

function leaveSection(
  kernel: Kernel,
  task: Task,
  address: number,
  sectionAddress: number,
  signature: number,
): number | Failure {
  const section = readUser(kernel, task, sectionAddress, RSEQ_CS_BYTES);
  if (failed(section)) return section;
  const start = get64(section, 8);
  const length = get64(section, 16);
  const abort = get64(section, 24);
  const rip = readRegister(kernel.machine, kernel.cpu, REGISTER.rip);
  const inside = rip >= start && rip - start < length;
  if (inside) {
    const found = loadUser32(kernel, task, abort - 4);
    if (failed(found)) return found;
    if (found !== signature || get32(section, 0) !== 0) return EFAULT;
  }
  const cleared = storeUserBig(kernel, task, address + RSEQ_CS, 0n);
  if (failed(cleared)) return cleared;
  if (inside) writeRegister(kernel.machine, kernel.cpu, REGISTER.rip, abort);
  return 0;
}
