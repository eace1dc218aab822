// What a scheduling class is: a queue of its own shape for each CPU and the rules of who runs next.
import type { Task } from '../task.ts';

export interface SchedulingClass<Queue = unknown> {
  readonly name: string;
  emptyQueue(): Queue;
  /** The task becomes runnable here; `woken` when it slept before. */
  enqueue(queue: Queue, task: Task, woken: boolean): void;
  dequeue(queue: Queue, task: Task): void;
  /** Takes the next task out of the queue. */
  pickNext(queue: Queue): Task | undefined;
  /** The running task was put back or sleeps; `current` has run for `ns`. */
  ran(queue: Queue, current: Task, ns: number): void;
  /** At the tick: should the running task make room? */
  shouldYield(queue: Queue, current: Task): boolean;
  /** A task of this class was enqueued: should it take the CPU from the running task of the same class? */
  shouldPreempt(queue: Queue, current: Task, woken: Task): boolean;
  /** Waiting tasks, first to run first: for balancing and for the screen. */
  waiting(queue: Queue): readonly Task[];
}
