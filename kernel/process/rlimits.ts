// Resource limits: Linux's defaults (include/asm-generic/resource.h) and looking one up.
import { RLIMIT, RLIMIT_COUNT } from '../abi/resource.ts';
import type { Process, Rlimit } from './process.ts';

const MIB = 1024 * 1024;
/** RLIMIT_NPROC and RLIMIT_SIGPENDING as fork_init sets them for a machine of a few hundred MiB. */
const THREADS = 3_900;

const defaults: readonly (readonly [limit: number, current: number, maximum: number])[] = [
  [RLIMIT.STACK, 8 * MIB, Infinity],
  [RLIMIT.CORE, 0, Infinity],
  [RLIMIT.NPROC, THREADS, THREADS],
  [RLIMIT.NOFILE, 1024, 4096],
  [RLIMIT.MEMLOCK, 8 * MIB, 8 * MIB],
  [RLIMIT.SIGPENDING, THREADS, THREADS],
  [RLIMIT.MSGQUEUE, 819_200, 819_200],
  [RLIMIT.NICE, 0, 0],
  [RLIMIT.RTPRIO, 0, 0],
];

export function defaultRlimits(): Rlimit[] {
  const limits = Array.from({ length: RLIMIT_COUNT }, () => ({ current: Infinity, maximum: Infinity }));
  for (const [limit, current, maximum] of defaults) limits[limit] = { current, maximum };
  return limits;
}

export const copyRlimits = (from: readonly Rlimit[]): Rlimit[] => from.map((limit) => ({ ...limit }));

/** The soft limit in force. */
export function rlimitOf(process: Process, limit: number): number {
  return process.rlimits[limit]?.current ?? Infinity;
}
