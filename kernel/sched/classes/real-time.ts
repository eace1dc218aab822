// SCHED_FIFO and SCHED_RR (sched(7)): 99 priorities, a list for each; RR tasks go to the end after their quantum.
import type { Task } from '../task.ts';
import type { SchedulingClass } from './class.ts';

export interface RealTimeQueue {
  /** Sorted by priority, highest first; equal ones in order of arrival. */
  tasks: Task[];
}

/** RR_TIMESLICE of Linux. */
export const RR_QUANTUM_NS = 100_000_000;

export const realTime: SchedulingClass<RealTimeQueue> = {
  name: 'real-time',
  emptyQueue: () => ({ tasks: [] }),
  enqueue(queue, task) {
    const keepsPlace = task.sched.policy === 'fifo' || task.sched.sliceUsedNs < RR_QUANTUM_NS;
    // A preempted task stays first among its equals; one whose quantum is over goes last.
    const preempted = task.sched.onCpu && keepsPlace;
    const rank = task.sched.rtPriority;
    const at = queue.tasks.findIndex((other) =>
      preempted ? other.sched.rtPriority <= rank : other.sched.rtPriority < rank,
    );
    queue.tasks.splice(at < 0 ? queue.tasks.length : at, 0, task);
    if (!keepsPlace) task.sched.sliceUsedNs = 0;
  },
  dequeue(queue, task) {
    queue.tasks = queue.tasks.filter((other) => other !== task);
  },
  pickNext: (queue) => queue.tasks.shift(),
  ran(_queue, current, ns) {
    current.sched.sliceUsedNs += ns;
  },
  shouldYield(queue, current) {
    const first = queue.tasks[0];
    if (first === undefined) return false;
    if (first.sched.rtPriority > current.sched.rtPriority) return true;
    const quantumOver = current.sched.policy === 'rr' && current.sched.sliceUsedNs >= RR_QUANTUM_NS;
    return quantumOver && first.sched.rtPriority === current.sched.rtPriority;
  },
  shouldPreempt: (_queue, current, woken) => woken.sched.rtPriority > current.sched.rtPriority,
  waiting: (queue) => queue.tasks,
};
