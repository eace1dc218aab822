// What the scheduler keeps in each task.
export type PolicyName = 'normal' | 'batch' | 'idle' | 'fifo' | 'rr' | 'deadline';

export interface SchedEntity {
  policy: PolicyName;
  /** Name of the scheduling class in sched/classes/index.ts. */
  class: string;
  nice: number; // -20 to 19
  rtPriority: number; // 1 to 99 for fifo and rr, else 0
  resetOnFork: boolean;
  /** CPUs the task may run on, bit i for CPU i. */
  affinity: number;
  cpu: number; // where it runs or ran last, and whose queue it waits in
  onCpu: boolean;
  queued: boolean;
  vruntime: number; // weighted ns (fair)
  deadline: number; // virtual deadline in vruntime units (EEVDF)
  sliceUsedNs: number;
  sumExecNs: number;
  lastRanNs: number; // when it last got a CPU
  queuedSinceNs: number; // when it became runnable, for run-queue latency
  waitSumNs: number;
  switchCount: number;
  migrations: number;
}
