// The main loop: which CPU goes next, how far, and what its trap wants.
//
//   step:  the busy CPU with the smallest clock goes next (idle CPUs skip their time)
//          an interrupt, timer or tick that is due is taken first
//          else its task runs: for a seeded slice when several CPUs are busy, at most to the next event
//
// A machine is frozen only between steps. Where the host pauses has no influence on the steps, so a run is the same at any pace.
import { randomBelow } from '../lib/random.ts';
import { run, setTsc } from '../machine/index.ts';
import { accountTask, leaveIdle, loadPageTable, runQueueOf, schedule } from '../sched/core.ts';
import { kernelThreads } from '../sched/kernel-thread.ts';
import { signalPending } from '../sched/signal-pending.ts';
import { wakeUp } from '../sched/wait-queue.ts';
import type { RunQueue } from '../sched/state.ts';
import type { Task } from '../sched/task.ts';
import { deliverSignals } from '../signal/deliver.ts';
import type { Kernel } from '../state.ts';
import { charge, chargeNs, now } from '../time/clock.ts';
import { rseqUpdate } from '../process/rseq.ts';
import { handleException } from './exceptions.ts';
import { nextEventNs, takeDueEvents, takeTick, TICK_NS } from './interrupts.ts';
import { enterSyscall, runSyscall } from './syscall-entry.ts';

/** Slices of several busy CPUs, in instructions. */
const SLICE_MIN = 8_000;
const SLICE_SPREAD = 32_000;
/** One CPU alone may run this long before the others are looked at. */
const LONE_SLICE = 400_000;
/** What a step of a kernel thread takes when it charges nothing itself. */
const KERNEL_STEP_NS = 200;

export type StepResult = 'ran' | 'idle' | 'off';

/** One step. 'idle': nothing will happen before the next input. */
export function step(kernel: Kernel): StepResult {
  if (kernel.powerState !== 'on') return 'off';
  const queue = nextBusyCpu(kernel);
  const eventNs = nextEventNs(kernel);
  if (queue === null) {
    if (!kernel.host.booted && isConsoleReady(kernel)) return finishBoot(kernel);
    if (eventNs === Infinity) return 'idle';
    kernel.cpu = 0;
    kernel.trap.steps++;
    leaveIdle(kernel, runQueueOf(kernel, 0), eventNs);
    takeDueEvents(kernel);
    return 'ran';
  }
  kernel.cpu = queue.cpu;
  kernel.trap.steps++;
  if (eventNs <= now(kernel)) takeDueEvents(kernel);
  else if (queue.nextTickNs <= now(kernel)) takeTick(kernel);
  if (queue.current === null || queue.needResched) schedule(kernel);
  if (queue.current !== null) runSlice(kernel, queue);
  return 'ran';
}

/** A program waits for keys on a terminal: the start scripts are over. */
function isConsoleReady(kernel: Kernel): boolean {
  for (const task of kernel.tasks.values()) if (task.wchan === 'n_tty_read') return true;
  return false;
}

/** Lets the commands go that the host gave before the system was up. */
function finishBoot(kernel: Kernel): StepResult {
  kernel.trap.steps++;
  kernel.host.booted = true;
  wakeUp(kernel, kernel.host.bootWait);
  return 'ran';
}

/** When all CPUs are idle: the virtual time of the next event; -Infinity while one is busy. */
export function idleUntilNs(kernel: Kernel): number {
  if (!kernel.host.booted && isConsoleReady(kernel)) return -Infinity;
  return nextBusyCpu(kernel) === null ? nextEventNs(kernel) : -Infinity;
}

/** The smallest clock of a busy CPU, or the largest of all when none is: how far the machine's time has come. */
export function machineNs(kernel: Kernel): number {
  const queue = nextBusyCpu(kernel);
  if (queue !== null) return kernel.time.cpuNs[queue.cpu] ?? 0;
  return kernel.time.cpuNs.reduce((latest, ns) => Math.max(latest, ns), 0);
}

function nextBusyCpu(kernel: Kernel): RunQueue | null {
  let next: RunQueue | null = null;
  let nextNs = Infinity;
  for (const queue of kernel.sched.runQueues) {
    if (queue.current === null && queue.waiting === 0) continue;
    const clock = kernel.time.cpuNs[queue.cpu] ?? 0;
    if (clock < nextNs) {
      next = queue;
      nextNs = clock;
    }
  }
  return next;
}

function isOtherCpuBusy(kernel: Kernel, cpu: number): boolean {
  const { runQueues } = kernel.sched;
  if (runQueues.length === 1) return false;
  for (const queue of runQueues) {
    if (queue.cpu !== cpu && (queue.current !== null || queue.waiting > 0)) return true;
  }
  return false;
}

/** Runs the current task until its slice, the next event or the task itself ends it. */
function runSlice(kernel: Kernel, queue: RunQueue): void {
  const othersBusy = isOtherCpuBusy(kernel, queue.cpu);
  const length = othersBusy ? SLICE_MIN + randomBelow(kernel.random, SLICE_SPREAD) : LONE_SLICE;
  const sliceEndNs = now(kernel) + length;
  if (queue.nextTickNs <= now(kernel)) queue.nextTickNs = now(kernel) + TICK_NS;
  const { cpuNs } = kernel.time;
  for (;;) {
    const task = queue.current;
    if (task === null) return;
    const endNs = Math.min(sliceEndNs, nextEventNs(kernel), queue.nextTickNs);
    const budget = Math.ceil(endNs - (cpuNs[queue.cpu] ?? 0));
    if (budget <= 0) return;
    if (task.kernelThread === null) runUser(kernel, queue, task, budget);
    else runKernelThread(kernel, queue, task);
    if (task.state !== 'running' || queue.needResched) schedule(kernel);
    if (kernel.powerState !== 'on') return;
    if (!othersBusy && isOtherCpuBusy(kernel, queue.cpu)) return;
  }
}

function runKernelThread(kernel: Kernel, queue: RunQueue, task: Task): void {
  const startNs = now(kernel);
  const thread = task.kernelThread;
  if (thread !== null) kernelThreads[thread.name]?.(kernel, task);
  if (now(kernel) === startNs) chargeNs(kernel, KERNEL_STEP_NS);
  accountTask(queue, task, now(kernel) - startNs, false);
}

/** Runs user code up to a trap and serves that. Every system call and fault comes through here, so it reads the clock itself. */
function runUser(kernel: Kernel, queue: RunQueue, task: Task, budget: number): void {
  if (needsPreparation(queue, task) && !prepareUser(kernel, queue, task)) return;
  task.origRax = -1;
  const { machine, cpu } = kernel;
  const { cpuNs } = kernel.time;
  const enteredNs = cpuNs[cpu] ?? 0;
  setTsc(machine, cpu, enteredNs);
  const trap = run(machine, cpu, budget);
  const { executed } = trap;
  const leftNs = enteredNs + executed;
  cpuNs[cpu] = leftNs;
  kernel.trap.instructions += executed;
  accountTask(queue, task, executed, true);
  if (trap.kind === 'budget') return;
  if (trap.kind === 'syscall') enterSyscall(kernel, task);
  else handleException(kernel, task, trap);
  accountTask(queue, task, (cpuNs[cpu] ?? 0) - leftNs, false);
}

const isRunning = (task: Task): boolean => task.state === 'running';

/** Whether anything must be done before user code goes on (Linux's exit-to-user work); mostly there is nothing. */
const needsPreparation = (queue: RunQueue, task: Task): boolean =>
  task.inCall ||
  !isRunning(task) ||
  queue.loadedMm !== task.mm ||
  (task.rseq !== null && task.rseq.switches !== task.sched.switchCount) ||
  task.flags.restarting ||
  task.signals.savedMask !== null ||
  signalPending(task);

function prepareUser(kernel: Kernel, queue: RunQueue, task: Task): boolean {
  const enteredNs = now(kernel);
  const goes = finishKernelWork(kernel, queue, task);
  accountTask(queue, task, now(kernel) - enteredNs, false);
  return goes;
}

/** The interrupted call, signals, page tables. False: the task cannot go on now. */
function finishKernelWork(kernel: Kernel, queue: RunQueue, task: Task): boolean {
  if (task.inCall) {
    charge(kernel, 'syscallEntry');
    runSyscall(kernel, task);
  }
  if (task.inCall || !isRunning(task)) return false;
  if (task.rseq !== null) {
    rseqUpdate(kernel, task); // before a handler's frame saves RIP
    if (!isRunning(task)) return false;
  }
  if (signalPending(task) || task.signals.savedMask !== null || task.flags.restarting) {
    task.flags.restarting = false;
    deliverSignals(kernel, task);
    if (!isRunning(task)) return false;
  }
  loadPageTable(kernel, queue, task);
  return task.mm !== null;
}
