// getrlimit(2), getrusage(2), getpriority(2): numbers and layouts.
import { get64, getBig64, put64, putBig64 } from '../lib/bytes.ts';

export const RLIMIT = {
  CPU: 0, FSIZE: 1, DATA: 2, STACK: 3, CORE: 4, RSS: 5, NPROC: 6, NOFILE: 7, MEMLOCK: 8, AS: 9, LOCKS: 10,
  SIGPENDING: 11, MSGQUEUE: 12, NICE: 13, RTPRIO: 14, RTTIME: 15,
} as const; // prettier-ignore
export const RLIMIT_COUNT = 16;
export const RLIMIT_BYTES = 16;

const INFINITY_WORD = 0xffff_ffff_ffff_ffffn;

/** One word of struct rlimit64; RLIM_INFINITY is Infinity. */
export function readLimit(bytes: Uint8Array, offset: number): number {
  return getBig64(bytes, offset) === INFINITY_WORD ? Infinity : get64(bytes, offset);
}

export function writeRlimit(limit: { readonly current: number; readonly maximum: number }): Uint8Array {
  const bytes = new Uint8Array(RLIMIT_BYTES);
  for (const [offset, value] of [[0, limit.current], [8, limit.maximum]] as const) {
    if (value === Infinity) putBig64(bytes, offset, INFINITY_WORD);
    if (value !== Infinity) put64(bytes, offset, value);
  } // prettier-ignore
  return bytes;
}

export const RUSAGE_SELF = 0;
export const RUSAGE_CHILDREN = -1;
export const RUSAGE_THREAD = 1;
export const RUSAGE_BYTES = 144;

export interface RusageFields {
  readonly userNs: number;
  readonly systemNs: number;
  readonly maxRssPages: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  readonly readBlocks: number;
  readonly writeBlocks: number;
  readonly voluntarySwitches: number;
  readonly involuntarySwitches: number;
}

function putTimeval(bytes: Uint8Array, offset: number, ns: number): void {
  const us = Math.floor(ns / 1000);
  put64(bytes, offset, Math.floor(us / 1_000_000));
  put64(bytes, offset + 8, us % 1_000_000);
}

export function writeRusage(usage: RusageFields): Uint8Array {
  const bytes = new Uint8Array(RUSAGE_BYTES);
  putTimeval(bytes, 0, usage.userNs);
  putTimeval(bytes, 16, usage.systemNs);
  put64(bytes, 32, usage.maxRssPages * 4); // KiB
  put64(bytes, 64, usage.minorFaults);
  put64(bytes, 72, usage.majorFaults);
  put64(bytes, 88, usage.readBlocks);
  put64(bytes, 96, usage.writeBlocks);
  put64(bytes, 128, usage.voluntarySwitches);
  put64(bytes, 136, usage.involuntarySwitches);
  return bytes;
}

export const PRIO_PROCESS = 0;
export const PRIO_PGRP = 1;
export const PRIO_USER = 2;
