// SysV IPC objects of the machine's one namespace (sysvipc(7)), and their limits under /proc/sys/kernel.
import type { WaitQueue } from '../sched/wait-queue.ts';
import type { PageBuffer } from './page-buffer.ts';
import type { AddressSpace } from '../mm/address-space.ts';

export interface IpcPermissions {
  readonly key: number;
  readonly id: number;
  uid: number;
  gid: number;
  readonly cuid: number;
  readonly cgid: number;
  mode: number;
  readonly sequence: number;
}

export interface SharedSegment {
  permissions: IpcPermissions;
  readonly sizeBytes: number;
  /** The memory; it lives until the segment goes. */
  readonly space: AddressSpace;
  attachNs: number;
  detachNs: number;
  changeNs: number;
  creatorPid: number;
  lastPid: number;
  /** IPC_RMID was called: it goes with its last attachment. */
  destroyed: boolean;
  locked: boolean;
}

export interface Message {
  readonly type: number;
  readonly length: number;
  readonly buffer: PageBuffer;
}

export interface MessageQueue {
  permissions: IpcPermissions;
  messages: Message[];
  bytes: number;
  maxBytes: number;
  sendNs: number;
  receiveNs: number;
  changeNs: number;
  lastSendPid: number;
  lastReceivePid: number;
  senders: WaitQueue;
  receivers: WaitQueue;
}

export interface Semaphore {
  value: number;
  lastPid: number;
  /** Tasks that wait for it to grow, and for it to become 0. */
  waitGrow: Set<number>;
  waitZero: Set<number>;
}

export interface SemaphoreSet {
  permissions: IpcPermissions;
  semaphores: Semaphore[];
  operationNs: number;
  changeNs: number;
  changed: WaitQueue;
  /** SEM_UNDO adjustments by process. */
  undo: Map<number, number[]>;
}

export interface SysvState {
  segments: Map<number, SharedSegment>;
  queues: Map<number, MessageQueue>;
  sets: Map<number, SemaphoreSet>;
  /** Grows with each object of a kind, so that an id is not soon used again. */
  sequences: { shm: number; msg: number; sem: number };
  limits: { shmmax: number; shmall: number; shmmni: number; msgmax: number; msgmnb: number; msgmni: number };
  semaphoreLimits: { semmsl: number; semmns: number; semopm: number; semmni: number };
}

/** Defaults of Linux 6.1. */
export const newSysvState = (): SysvState => ({
  segments: new Map(), queues: new Map(), sets: new Map(), sequences: { shm: 0, msg: 0, sem: 0 },
  limits: {
    shmmax: 18_446_744_073_692_774_399, shmall: 18_446_744_073_692_774_399, shmmni: 4096, msgmax: 8192, msgmnb: 16_384,
    msgmni: 32_000,
  },
  semaphoreLimits: { semmsl: 32_000, semmns: 1_024_000_000, semopm: 500, semmni: 32_000 },
}); // prettier-ignore
