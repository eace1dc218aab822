// clone(2): flags and struct clone_args (include/uapi/linux/sched.h).
import { get64 } from '../lib/bytes.ts';

export const CLONE = {
  NEWTIME: 0x80,
  VM: 0x100,
  FS: 0x200,
  FILES: 0x400,
  SIGHAND: 0x800,
  PIDFD: 0x1000,
  PTRACE: 0x2000,
  VFORK: 0x4000,
  PARENT: 0x8000,
  THREAD: 0x1_0000,
  NEWNS: 0x2_0000,
  SYSVSEM: 0x4_0000,
  SETTLS: 0x8_0000,
  PARENT_SETTID: 0x10_0000,
  CHILD_CLEARTID: 0x20_0000,
  DETACHED: 0x40_0000,
  UNTRACED: 0x80_0000,
  CHILD_SETTID: 0x100_0000,
  NEWCGROUP: 0x200_0000,
  NEWUTS: 0x400_0000,
  NEWIPC: 0x800_0000,
  NEWUSER: 0x1000_0000,
  NEWPID: 0x2000_0000,
  NEWNET: 0x4000_0000,
  IO: 0x8000_0000,
  /** Only clone3 has room for these two. */
  CLEAR_SIGHAND: 0x1_0000_0000,
  INTO_CGROUP: 0x2_0000_0000,
} as const;

/** Flag words pass 32 bits, so bits are tested without JavaScript's 32-bit operators. */
export const hasFlag = (flags: number, flag: number): boolean => Math.floor(flags / flag) % 2 === 1;

export const CLONE_ARGS_SIZE_MIN = 64;
export const CLONE_ARGS_BYTES = 88;

export interface CloneArgs {
  readonly flags: number;
  readonly pidfd: number;
  readonly childTid: number;
  readonly parentTid: number;
  readonly exitSignal: number;
  readonly stack: number;
  readonly stackSize: number;
  readonly tls: number;
  readonly setTid: number;
  readonly setTidSize: number;
  readonly cgroup: number;
}

export function readCloneArgs(bytes: Uint8Array): CloneArgs {
  const word = (index: number): number => (bytes.length >= 8 * (index + 1) ? get64(bytes, 8 * index) : 0);
  return {
    flags: word(0), pidfd: word(1), childTid: word(2), parentTid: word(3), exitSignal: word(4),
    stack: word(5), stackSize: word(6), tls: word(7), setTid: word(8), setTidSize: word(9), cgroup: word(10),
  }; // prettier-ignore
}
