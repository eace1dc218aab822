// SysV IPC (sysvipc(7), include/uapi/linux/{ipc,shm,msg,sem}.h): flags, commands, the 64-bit structs of x86-64.
import { get32, get64, put16, put32, put64 } from '../lib/bytes.ts';

export const IPC_PRIVATE = 0;
export const IPC_CREAT = 0o1000;
export const IPC_EXCL = 0o2000;
export const IPC_NOWAIT = 0o4000;

export const IPC_RMID = 0;
export const IPC_SET = 1;
export const IPC_STAT = 2;
export const IPC_INFO = 3;

export const SHM = { LOCK: 11, UNLOCK: 12, STAT: 13, INFO: 14, STAT_ANY: 15, RDONLY: 0o10000, RND: 0o20000, REMAP: 0o40000, EXEC: 0o100000, HUGETLB: 0o4000, NORESERVE: 0o10000 } as const; // prettier-ignore
/** Bits of shm_perm.mode. */
export const SHM_DEST = 0o1000;
export const SHM_LOCKED = 0o2000;

export const MSG_STAT = 11;
export const MSG_INFO = 12;
export const MSG_STAT_ANY = 13;
export const MSG_NOERROR = 0o10000;
export const MSG_EXCEPT = 0o20000;
export const MSG_COPY = 0o40000;

export const SEM = { GETPID: 11, GETVAL: 12, GETALL: 13, GETNCNT: 14, GETZCNT: 15, SETVAL: 16, SETALL: 17, STAT: 18, INFO: 19, STAT_ANY: 20, UNDO: 0x1000 } as const; // prettier-ignore
export const SEM_VALUE_MAX = 32_767;
export const SEMBUF_BYTES = 6;

const PERM_BYTES = 48;
export const SHMID_BYTES = 112;
export const MSQID_BYTES = 120;
export const SEMID_BYTES = 104;

export interface PermFields {
  readonly key: number;
  readonly uid: number;
  readonly gid: number;
  readonly cuid: number;
  readonly cgid: number;
  readonly mode: number;
  readonly sequence: number;
}

export function putPerm(bytes: Uint8Array, perm: PermFields): void {
  put32(bytes, 0, perm.key);
  put32(bytes, 4, perm.uid);
  put32(bytes, 8, perm.gid);
  put32(bytes, 12, perm.cuid);
  put32(bytes, 16, perm.cgid);
  put32(bytes, 20, perm.mode);
  put16(bytes, 24, perm.sequence);
}

/** What IPC_SET takes of a struct: owner, mode, and for queues the limit behind them. */
export function getPerm(bytes: Uint8Array): { uid: number; gid: number; mode: number } {
  return { uid: get32(bytes, 4), gid: get32(bytes, 8), mode: get32(bytes, 20) & 0o777 };
}

/** Numbers of 64 bits behind the ipc_perm, from offset 48 on. */
export function putWords(bytes: Uint8Array, words: readonly number[], offset = PERM_BYTES): void {
  words.forEach((word, index) => put64(bytes, offset + 8 * index, word));
}

export const msqidMaxBytes = (bytes: Uint8Array): number => get64(bytes, 88);
