// Tracepoints of signals, with Linux's names and fields (include/trace/events/signal.h).
import { ADDRESS, COMM, PID, U32, U64, tracepoint } from '../trace/tracepoint.ts';

export const signalGenerate = tracepoint('signal', 'signal_generate', {
  sig: U32, errno: PID, code: PID, comm: COMM, pid: PID, group: U32, result: U32,
}); // prettier-ignore
export const signalDeliver = tracepoint('signal', 'signal_deliver', {
  sig: U32, errno: PID, code: PID, sa_handler: ADDRESS, sa_flags: U64,
}); // prettier-ignore
