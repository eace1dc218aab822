// Clocks and time structures (clock_gettime(2), include/uapi/linux/time.h).
import { getSigned64, put64 } from '../lib/bytes.ts';

export const CLOCK = {
  REALTIME: 0,
  MONOTONIC: 1,
  PROCESS_CPUTIME_ID: 2,
  THREAD_CPUTIME_ID: 3,
  MONOTONIC_RAW: 4,
  REALTIME_COARSE: 5,
  MONOTONIC_COARSE: 6,
  BOOTTIME: 7,
  REALTIME_ALARM: 8,
  BOOTTIME_ALARM: 9,
  TAI: 11,
} as const;

export const TIMER_ABSTIME = 1;
export const TIMESPEC_BYTES = 16;
export const ITIMERVAL_BYTES = 32;
export const NS_PER_SECOND = 1_000_000_000;
/** Length of the scheduler tick, which the coarse clocks follow (CONFIG_HZ=250). */
export const TICK_NS = 4_000_000;
/** Longest time that a 64-bit ktime holds; later ends count as never. */
const FOREVER_SECONDS = 9_223_372_036;

/** A struct timespec in ns, or null when it is not valid (negative, or 10^9 ns and more). */
export function readTimespec(bytes: Uint8Array, offset = 0): number | null {
  const seconds = getSigned64(bytes, offset);
  const ns = getSigned64(bytes, offset + 8);
  if (seconds < 0 || ns < 0 || ns >= NS_PER_SECOND) return null;
  return seconds >= FOREVER_SECONDS ? Infinity : seconds * NS_PER_SECOND + ns;
}

export function putTimespec(bytes: Uint8Array, offset: number, ns: number): void {
  const whole = Math.floor(ns);
  put64(bytes, offset, Math.floor(whole / NS_PER_SECOND));
  put64(bytes, offset + 8, whole % NS_PER_SECOND);
}

export function writeTimespec(ns: number): Uint8Array {
  const bytes = new Uint8Array(TIMESPEC_BYTES);
  putTimespec(bytes, 0, ns);
  return bytes;
}

/** A struct timeval in ns, or null when it is not valid. */
export function readTimeval(bytes: Uint8Array, offset = 0): number | null {
  const seconds = getSigned64(bytes, offset);
  const us = getSigned64(bytes, offset + 8);
  if (seconds < 0 || us < 0 || us >= 1_000_000) return null;
  return seconds >= FOREVER_SECONDS ? Infinity : seconds * NS_PER_SECOND + us * 1000;
}

/** Rounded up to the next microsecond, as getitimer does, so that a running timer never shows 0. */
export function putTimeval(bytes: Uint8Array, offset: number, ns: number): void {
  const us = Math.ceil(ns / 1000);
  put64(bytes, offset, Math.floor(us / 1_000_000));
  put64(bytes, offset + 8, us % 1_000_000);
}
