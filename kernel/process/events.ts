// Tracepoints of process life, with Linux's names and fields (include/trace/events/sched.h).
import { COMM, PID, U32, tracepoint } from '../trace/tracepoint.ts';

export const schedProcessFork = tracepoint('sched', 'sched_process_fork', {
  parent_comm: COMM, parent_pid: PID, child_comm: COMM, child_pid: PID,
}); // prettier-ignore
export const schedProcessExec = tracepoint('sched', 'sched_process_exec', {
  filename: COMM,
  pid: PID,
  old_pid: PID,
});
export const schedProcessExit = tracepoint('sched', 'sched_process_exit', {
  comm: COMM,
  pid: PID,
  prio: U32,
});
export const schedProcessWait = tracepoint('sched', 'sched_process_wait', {
  comm: COMM,
  pid: PID,
  prio: U32,
});
export const schedProcessFree = tracepoint('sched', 'sched_process_free', {
  comm: COMM,
  pid: PID,
  prio: U32,
});
