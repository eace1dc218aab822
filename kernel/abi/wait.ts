// wait4 and waitid (wait(2), include/uapi/linux/wait.h): options, id types, and the wait status word.
export const WAIT = {
  NOHANG: 1,
  UNTRACED: 2, // also WSTOPPED
  EXITED: 4,
  CONTINUED: 8,
  NOWAIT: 0x0100_0000,
  NOTHREAD: 0x2000_0000,
  ALL: 0x4000_0000,
  CLONE: 0x8000_0000,
} as const;

export const P_ALL = 0;
export const P_PID = 1;
export const P_PGID = 2;
export const P_PIDFD = 3;

/** The status of a process that called exit(code). */
export const exitedStatus = (code: number): number => (code & 0xff) << 8;
/** The status of a process that a signal ended; bit 0x80 says that there is a core. */
export const killedStatus = (signal: number, dumped = false): number => signal | (dumped ? 0x80 : 0);
export const stoppedStatus = (signal: number): number => (signal << 8) | 0x7f;
export const CONTINUED_STATUS = 0xffff;

export const hasExited = (status: number): boolean => (status & 0x7f) === 0;
export const exitCode = (status: number): number => (status >> 8) & 0xff;
export const endingSignal = (status: number): number => status & 0x7f;
export const hasDumped = (status: number): boolean => (status & 0x80) !== 0;
