// Tracepoints of the scheduler, with Linux's names and fields (include/trace/events/sched.h).
import { COMM, PID, U32, tracepoint } from '../trace/tracepoint.ts';

export const schedSwitch = tracepoint('sched', 'sched_switch', {
  prev_comm: COMM, prev_pid: PID, prev_prio: U32, prev_state: COMM, next_comm: COMM, next_pid: PID, next_prio: U32,
}); // prettier-ignore
export const schedWakeup = tracepoint('sched', 'sched_wakeup', {
  comm: COMM,
  pid: PID,
  prio: U32,
  target_cpu: U32,
});
export const schedMigrate = tracepoint('sched', 'sched_migrate_task', {
  comm: COMM,
  pid: PID,
  orig_cpu: U32,
  dest_cpu: U32,
});
