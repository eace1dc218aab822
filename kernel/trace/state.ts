// What tracing keeps in the machine: which tracepoints are on, and the hash over every event of the run.
import { tracepoints } from './tracepoint.ts';

export interface TraceState {
  /** Any tracepoint enabled at all. */
  on: boolean;
  /** 1 by tracepoint id. */
  enabled: Uint8Array;
  /** Every event goes into the hash (run --stats, simulations). */
  hashing: boolean;
  /** Events go to the recorder's buffer, for a session. */
  recording: boolean;
  hash: Uint32Array;
  eventCount: number;
}

export const newTraceState = (): TraceState => ({
  on: false,
  enabled: new Uint8Array(tracepoints.length),
  hashing: false,
  recording: false,
  hash: new Uint32Array([0x811c9dc5, 0x01234567]),
  eventCount: 0,
});
