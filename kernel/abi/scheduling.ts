// sched(7): policy numbers and struct sched_attr.
import type { PolicyName } from '../sched/entity.ts';
import { get32, get64, getSigned32, put32, put64 } from '../lib/bytes.ts';

export const policyNumbers: Readonly<Record<PolicyName, number>> = {
  normal: 0, fifo: 1, rr: 2, batch: 3, idle: 5, deadline: 6,
}; // prettier-ignore

export function policyNamed(number: number): PolicyName | undefined {
  if (number === 0) return 'normal';
  if (number === 1) return 'fifo';
  if (number === 2) return 'rr';
  if (number === 3) return 'batch';
  if (number === 5) return 'idle';
  return number === 6 ? 'deadline' : undefined;
}

export const SCHED_RESET_ON_FORK = 0x4000_0000;
export const SCHED_ATTR_SIZE_MIN = 48;
export const SCHED_ATTR_BYTES = 56;

export interface SchedAttr {
  readonly size: number;
  readonly policy: number;
  readonly flags: number;
  readonly nice: number;
  readonly priority: number;
  readonly runtimeNs: number;
  readonly deadlineNs: number;
  readonly periodNs: number;
}

export function readSchedAttr(bytes: Uint8Array): SchedAttr {
  return {
    size: get32(bytes, 0),
    policy: get32(bytes, 4),
    flags: get64(bytes, 8),
    nice: getSigned32(bytes, 16),
    priority: get32(bytes, 20),
    runtimeNs: get64(bytes, 24),
    deadlineNs: get64(bytes, 32),
    periodNs: get64(bytes, 40),
  };
}

export function writeSchedAttr(attr: SchedAttr): Uint8Array {
  const bytes = new Uint8Array(SCHED_ATTR_BYTES);
  put32(bytes, 0, attr.size);
  put32(bytes, 4, attr.policy);
  put64(bytes, 8, attr.flags);
  put32(bytes, 16, attr.nice);
  put32(bytes, 20, attr.priority);
  put64(bytes, 24, attr.runtimeNs);
  put64(bytes, 32, attr.deadlineNs);
  put64(bytes, 40, attr.periodNs);
  put32(bytes, 52, 1024); // sched_util_max
  return bytes;
}
