// The core of the scheduler: waking, choosing, switching. A running task is in no queue; a runnable one waits in the
// queue of its CPU (`task.sched.cpu`); a sleeping one in neither. CPU clocks only go forward: a task never sees time
// before the moment at which it was woken or last ran, on whichever CPU it runs next.
import { loadContext, saveContext, setPageTable } from '../machine/index.ts';
import { assert } from '../lib/assert.ts';
import type { Kernel } from '../state.ts';
import { charge, now } from '../time/clock.ts';
import { emit, isOn } from '../trace/tracepoint.ts';
import { classOfPolicy, schedulingClasses } from './classes/index.ts';
import type { SchedulingClass } from './classes/class.ts';
import type { PolicyName, SchedEntity } from './entity.ts';
import { schedMigrate, schedSwitch, schedWakeup } from './events.ts';
import type { RanSlice, RunQueue } from './state.ts';
import type { Task } from './task.ts';
import { leaveQueues } from './leave-queues.ts';

/** A scheduling entity for a new task, with its parent's policy where that is inherited. */
export function newSchedEntity(parent: Task | null): SchedEntity {
  const inherits = parent !== null && !parent.sched.resetOnFork;
  const policy = inherits ? parent.sched.policy : 'normal';
  return {
    policy, class: classOfPolicy[policy], nice: inherits ? parent.sched.nice : 0,
    rtPriority: inherits ? parent.sched.rtPriority : 0, resetOnFork: false,
    affinity: parent?.sched.affinity ?? -1, cpu: parent?.sched.cpu ?? 0, onCpu: false, queued: false,
    vruntime: parent?.sched.vruntime ?? 0, deadline: 0, sliceUsedNs: 0, sumExecNs: 0, lastRanNs: 0, queuedSinceNs: 0,
    waitSumNs: 0, switchCount: 0, migrations: 0,
  }; // prettier-ignore
}

/** The run queue of a CPU that exists. */
export function runQueueOf(kernel: Kernel, cpu: number): RunQueue {
  const runQueue = kernel.sched.runQueues[cpu];
  assert(runQueue !== undefined, 'a task is on a CPU that exists');
  return runQueue;
}

// Nearly all tasks are of one class, which is asked for at each system call: the last answer is kept.
let lastClassName = '';
let lastClass: SchedulingClass | undefined;

export function classOf(task: Task): SchedulingClass {
  const name = task.sched.class;
  if (name === lastClassName && lastClass !== undefined) return lastClass;
  const schedulingClass = schedulingClasses.get(name);
  assert(schedulingClass !== undefined, 'a task names a class that exists');
  lastClassName = name;
  lastClass = schedulingClass;
  return schedulingClass;
}

/** Linux's kernel-internal priority: 0 to 98 real time, 100 to 139 by nice. */
export function priorityOf(task: Task): number {
  return task.sched.rtPriority > 0 ? 99 - task.sched.rtPriority : 120 + task.sched.nice;
}

/** Makes a sleeping, stopped or new task runnable. A running one is left as it is. */
export function wakeTask(kernel: Kernel, task: Task): void {
  if (task.state === 'zombie' || task.state === 'dead') return;
  if (task.state === 'running' && (task.sched.queued || task.sched.onCpu)) return;
  leaveQueues(task);
  const wasBlocked = task.state === 'disk-sleep';
  task.state = 'running';
  if (task.sched.onCpu) return; // woken before it got off its CPU, where it would have been counted
  if (wasBlocked) kernel.sched.blockedTasks--;
  enqueue(kernel, task, chooseCpu(kernel, task), true);
  if (isOn(kernel, schedWakeup)) {
    emit(kernel, schedWakeup, {
      comm: task.comm,
      pid: task.tid,
      prio: priorityOf(task),
      target_cpu: task.sched.cpu,
    });
  }
}

const mayRunOn = (task: Task, cpu: number): boolean => ((task.sched.affinity >>> cpu) & 1) === 1;
const isIdle = (queue: RunQueue): boolean => queue.current === null && queue.waiting === 0;

/** The CPU where it ran last when that is idle, else an idle one, else the shortest queue that it may use. */
function chooseCpu(kernel: Kernel, task: Task): number {
  const queues = kernel.sched.runQueues;
  const previous = queues[task.sched.cpu];
  if (previous !== undefined && mayRunOn(task, previous.cpu) && isIdle(previous)) return previous.cpu;
  let best: RunQueue | undefined;
  for (const queue of queues) {
    if (!mayRunOn(task, queue.cpu)) continue;
    if (best === undefined || loadOf(queue) < loadOf(best)) best = queue;
  }
  const stays =
    previous !== undefined &&
    mayRunOn(task, previous.cpu) &&
    loadOf(previous) <= loadOf(best ?? previous) + 1;
  if (stays && !(best !== undefined && isIdle(best))) return previous.cpu;
  return best?.cpu ?? 0;
}

const loadOf = (queue: RunQueue): number => queue.waiting + (queue.current === null ? 0 : 1);

function enqueue(kernel: Kernel, task: Task, cpu: number, woken: boolean): void {
  const queue = runQueueOf(kernel, cpu);
  if (cpu !== task.sched.cpu) {
    if (isOn(kernel, schedMigrate)) {
      emit(kernel, schedMigrate, { comm: task.comm, pid: task.tid, orig_cpu: task.sched.cpu, dest_cpu: cpu });
    }
    task.sched.cpu = cpu;
    task.sched.migrations++;
    queue.migrationsIn++;
  }
  const schedulingClass = classOf(task);
  task.sched.queued = true;
  task.sched.queuedSinceNs = now(kernel);
  schedulingClass.enqueue(queue.queues[task.sched.class], task, woken);
  queue.waiting++;
  if (woken && preempts(queue, schedulingClass, task)) queue.needResched = true;
}

function preempts(queue: RunQueue, schedulingClass: SchedulingClass, task: Task): boolean {
  const { current } = queue;
  if (current === null) return true;
  if (current.sched.class === task.sched.class) {
    return schedulingClass.shouldPreempt(queue.queues[task.sched.class], current, task);
  }
  for (const name of schedulingClasses.keys()) {
    if (name === task.sched.class) return true;
    if (name === current.sched.class) return false;
  }
  return false;
}

function dequeue(kernel: Kernel, task: Task): void {
  const queue = runQueueOf(kernel, task.sched.cpu);
  classOf(task).dequeue(queue.queues[task.sched.class], task);
  task.sched.queued = false;
  queue.waiting--;
}

/** Asks the CPU on which the task runs or waits to choose again. */
export function setNeedResched(kernel: Kernel, task: Task): void {
  runQueueOf(kernel, task.sched.cpu).needResched = true;
}

/** sched_yield(2): the running task goes behind the others of its class. */
export function yieldCpu(kernel: Kernel, task: Task): void {
  task.sched.sliceUsedNs = Infinity;
  task.sched.deadline += 3_000_000;
  setNeedResched(kernel, task);
}

/** Takes the current task off the CPU (it sleeps, ended, or makes room) and puts the next one on it. */
export function schedule(kernel: Kernel): void {
  const queue = runQueueOf(kernel, kernel.cpu);
  const previous = queue.current;
  queue.needResched = false;
  if (previous?.state === 'running' && !previous.sched.queued) {
    if (previous.sched.sliceUsedNs === Infinity) previous.sched.sliceUsedNs = 0;
    enqueue(kernel, previous, mayRunOn(previous, queue.cpu) ? queue.cpu : chooseCpu(kernel, previous), false);
  }
  const next = pickNext(kernel, queue) ?? pullTask(kernel, queue);
  if (next === previous) return;
  switchTo(kernel, queue, previous, next ?? null);
}

function pickNext(kernel: Kernel, queue: RunQueue): Task | undefined {
  for (const [name, schedulingClass] of schedulingClasses) {
    const next = schedulingClass.pickNext(queue.queues[name]);
    if (next === undefined) continue;
    queue.waiting--;
    next.sched.queued = false;
    const latency = Math.max(0, now(kernel) - next.sched.queuedSinceNs);
    next.sched.waitSumNs += latency;
    const bucket = Math.min(31, Math.floor(Math.log2(Math.max(1, latency / 1000))));
    queue.latencyHistogram[bucket] = (queue.latencyHistogram[bucket] ?? 0) + 1;
    return next;
  }
  return undefined;
}

/** A CPU about to go idle takes a waiting task from the longest queue. */
function pullTask(kernel: Kernel, into: RunQueue): Task | undefined {
  let busiest: RunQueue | undefined;
  for (const queue of kernel.sched.runQueues) {
    if (queue !== into && queue.waiting > (busiest?.waiting ?? 0)) busiest = queue;
  }
  if (busiest === undefined) return undefined;
  const task = movableTask(busiest, into.cpu);
  if (task === undefined) return undefined;
  dequeue(kernel, task);
  const since = task.sched.queuedSinceNs;
  enqueue(kernel, task, into.cpu, false);
  task.sched.queuedSinceNs = since;
  return pickNext(kernel, into);
}

function movableTask(queue: RunQueue, cpu: number): Task | undefined {
  for (const [name, schedulingClass] of schedulingClasses) {
    const found = schedulingClass.waiting(queue.queues[name]).find((task) => mayRunOn(task, cpu));
    if (found !== undefined) return found;
  }
  return undefined;
}

function switchTo(kernel: Kernel, queue: RunQueue, previous: Task | null, next: Task | null): void {
  const clocks = kernel.time.cpuNs;
  const { cpu } = queue;
  if (next !== null) {
    // The clock of an idle CPU stands where it went idle: it moves on before anything is stamped with it.
    const fromNs = Math.max(next.sched.queuedSinceNs, next.sched.lastRanNs);
    if (previous === null) leaveIdle(kernel, queue, fromNs);
    clocks[cpu] = Math.max(clocks[cpu] ?? 0, fromNs);
  }
  if (isOn(kernel, schedSwitch)) traceSwitch(kernel, previous, next);
  if (previous !== null) {
    if (kernel.recorder.slices !== null) noteSlice(kernel, kernel.recorder.slices, previous);
    previous.sched.onCpu = false;
    previous.sched.lastRanNs = now(kernel);
    if (previous.mm !== null && previous.kernelThread === null)
      saveContext(kernel.machine, cpu, previous.context);
    if (previous.state === 'running') previous.involuntarySwitches++;
    else previous.voluntarySwitches++;
    if (previous.state === 'disk-sleep') kernel.sched.blockedTasks++;
  }
  queue.current = next;
  if (next === null) {
    queue.idleSinceNs = now(kernel);
    return;
  }
  charge(kernel, 'contextSwitch');
  queue.contextSwitches++;
  next.sched.switchCount++;
  next.sched.onCpu = true;
  next.sched.lastRanNs = now(kernel);
  if (next.kernelThread === null && next.mm !== null) {
    loadContext(kernel.machine, cpu, next.context);
    loadPageTable(kernel, queue, next);
  }
}

/** A slice that has just ended, for the live timeline. A reader that does not come loses the oldest. */
function noteSlice(kernel: Kernel, slices: RanSlice[], task: Task): void {
  const startNs = task.sched.lastRanNs;
  slices.push({
    cpu: kernel.cpu,
    tid: task.tid,
    comm: task.comm,
    startNs,
    durationNs: now(kernel) - startNs,
    left: stateLetter(task),
  });
  if (slices.length > MOST_SLICES) slices.splice(0, MOST_SLICES / 2);
}

const MOST_SLICES = 20_000;

/** Brings the CPU's page-table root in line with the task's memory, which exec may have changed. */
export function loadPageTable(kernel: Kernel, queue: RunQueue, task: Task): void {
  if (task.mm === null) return;
  if (queue.loadedMm === task.mm) return;
  const bit = 1 << queue.cpu;
  if (queue.loadedMm !== null) queue.loadedMm.cpuMask &= ~bit;
  queue.loadedMm = task.mm;
  task.mm.cpuMask |= bit;
  setPageTable(kernel.machine, queue.cpu, task.mm.root);
}

/** Moves an idle CPU's clock on to `ns` and books the idle time. */
export function leaveIdle(kernel: Kernel, queue: RunQueue, ns: number): void {
  const clocks = kernel.time.cpuNs;
  const from = clocks[queue.cpu] ?? 0;
  if (ns <= from) return;
  const waitsForDisk = kernel.sched.blockedTasks > 0;
  queue.times[waitsForDisk ? 'iowait' : 'idle'] += ns - from;
  clocks[queue.cpu] = ns;
}

const STATE_LETTERS: Readonly<Record<Task['state'], string>> = {
  running: 'R', sleeping: 'S', 'disk-sleep': 'D', stopped: 'T', traced: 't', zombie: 'Z', dead: 'X',
}; // prettier-ignore

/** R, S, D, T, t, Z or X, as ps shows it. */
export const stateLetter = (task: Task): string => STATE_LETTERS[task.state];

function traceSwitch(kernel: Kernel, previous: Task | null, next: Task | null): void {
  const idle = `swapper/${kernel.cpu}`;
  emit(kernel, schedSwitch, {
    prev_comm: previous?.comm ?? idle, prev_pid: previous?.tid ?? 0, prev_prio: previous === null ? 120 : priorityOf(previous),
    prev_state: previous === null ? 'R' : stateLetter(previous), next_comm: next?.comm ?? idle, next_pid: next?.tid ?? 0,
    next_prio: next === null ? 120 : priorityOf(next),
  }); // prettier-ignore
}

/** Books `ns` that the CPU's current task has just run, in user mode or in the kernel on its behalf. */
export function accountTask(queue: RunQueue, task: Task, ns: number, inUser: boolean): void {
  if (ns <= 0) return;
  const { sched } = task;
  const { times } = queue;
  sched.sumExecNs += ns;
  if (inUser) {
    task.userNs += ns;
    if (sched.nice > 0) times.nice += ns;
    else times.user += ns;
  } else {
    task.systemNs += ns;
    times.system += ns;
  }
  classOf(task).ran(queue.queues[sched.class], task, ns);
}

/** Scheduler's part of the timer tick on the running CPU. */
export function schedulerTick(kernel: Kernel): void {
  const queue = runQueueOf(kernel, kernel.cpu);
  const { current } = queue;
  if (current === null) return;
  if (classOf(current).shouldYield(queue.queues[current.sched.class], current)) queue.needResched = true;
  for (const [name, schedulingClass] of schedulingClasses) {
    if (name === current.sched.class) break;
    if (schedulingClass.waiting(queue.queues[name]).length > 0) queue.needResched = true;
  }
}

/** Changes policy, nice or priority of a task wherever it is (sched_setscheduler(2), setpriority(2)). */
export function setPolicy(
  kernel: Kernel,
  task: Task,
  policy: PolicyName,
  rtPriority: number,
  nice: number,
): void {
  const { queued } = task.sched;
  if (queued) dequeue(kernel, task);
  task.sched.policy = policy;
  task.sched.class = classOfPolicy[policy];
  task.sched.rtPriority = rtPriority;
  task.sched.nice = nice;
  if (queued) enqueue(kernel, task, task.sched.cpu, true);
  setNeedResched(kernel, task);
}

export function setNice(kernel: Kernel, task: Task, nice: number): void {
  setPolicy(kernel, task, task.sched.policy, task.sched.rtPriority, nice);
}

/** Changes the CPUs on which a task may run; the caller has checked that one of them exists. */
export function setAffinity(kernel: Kernel, task: Task, mask: number): void {
  task.sched.affinity = mask;
  if (mayRunOn(task, task.sched.cpu)) return;
  if (task.sched.queued) {
    dequeue(kernel, task);
    enqueue(kernel, task, chooseCpu(kernel, task), true);
    return;
  }
  setNeedResched(kernel, task);
}
