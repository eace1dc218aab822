// Structures and numbers of uname(2), sysinfo(2), reboot(2), syslog(2), membarrier(2).
import { put16, put32, put64, bytesOfLatin1 } from '../lib/bytes.ts';

const UTS_FIELD_BYTES = 65;

/** struct new_utsname: six fields of 65 bytes. */
export function writeUtsname(fields: readonly string[]): Uint8Array {
  const bytes = new Uint8Array(6 * UTS_FIELD_BYTES);
  fields.forEach((field, i) =>
    bytes.set(bytesOfLatin1(field.slice(0, UTS_FIELD_BYTES - 1)), i * UTS_FIELD_BYTES),
  );
  return bytes;
}

export const UTS_NAME_MAX = UTS_FIELD_BYTES - 1;

export interface SysinfoFields {
  readonly uptimeSeconds: number;
  readonly loads: readonly number[];
  readonly totalPages: number;
  readonly freePages: number;
  readonly sharedPages: number;
  readonly bufferPages: number;
  readonly totalSwapPages: number;
  readonly freeSwapPages: number;
  readonly processes: number;
}

/** struct sysinfo, its memory unit being one byte. */
export function writeSysinfo(info: SysinfoFields): Uint8Array {
  const bytes = new Uint8Array(112);
  put64(bytes, 0, info.uptimeSeconds);
  info.loads.forEach((load, i) => put64(bytes, 8 + 8 * i, Math.round(load * 65_536)));
  const pages = [
    info.totalPages, info.freePages, info.sharedPages, info.bufferPages, info.totalSwapPages, info.freeSwapPages,
  ]; // prettier-ignore
  pages.forEach((count, i) => put64(bytes, 32 + 8 * i, count * 4096));
  put16(bytes, 80, Math.min(info.processes, 0xffff));
  put32(bytes, 104, 1);
  return bytes;
}

export const REBOOT_MAGIC1 = 0xfee1_dead;
export const REBOOT_MAGIC2: readonly number[] = [672274793, 85072278, 369367448, 537993216];
export const REBOOT = {
  RESTART: 0x0123_4567,
  HALT: 0xcdef_0123,
  CAD_ON: 0x89ab_cdef,
  CAD_OFF: 0,
  POWER_OFF: 0x4321_fedc,
  RESTART2: 0xa1b2_c3d4,
} as const;

export const MEMBARRIER = {
  QUERY: 0, GLOBAL: 1, GLOBAL_EXPEDITED: 2, REGISTER_GLOBAL_EXPEDITED: 4, PRIVATE_EXPEDITED: 8,
  REGISTER_PRIVATE_EXPEDITED: 16, PRIVATE_EXPEDITED_SYNC_CORE: 32, REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: 64,
} as const; // prettier-ignore
/** Everything in MEMBARRIER that FIRST..LAST of the query reports. */
export const MEMBARRIER_ALL = 127;

export const GRND = { NONBLOCK: 1, RANDOM: 2, INSECURE: 4 } as const;
