// Signals as Linux's x86-64 ABI has them (signal(7), include/uapi/asm/signal.h, asm-generic/siginfo.h): numbers, default
// actions, flags of sigaction, si_code values, struct kernel_sigaction, stack_t and siginfo_t.
// Sets are bigint masks with bit n-1 for signal n.
import { get32, get64, getBig64, getSigned32, put32, put64, putBig64 } from '../lib/bytes.ts';

export const SIGHUP = 1;
export const SIGINT = 2;
export const SIGQUIT = 3;
export const SIGILL = 4;
export const SIGTRAP = 5;
export const SIGABRT = 6;
export const SIGBUS = 7;
export const SIGFPE = 8;
export const SIGKILL = 9;
export const SIGUSR1 = 10;
export const SIGSEGV = 11;
export const SIGUSR2 = 12;
export const SIGPIPE = 13;
export const SIGALRM = 14;
export const SIGTERM = 15;
export const SIGSTKFLT = 16;
export const SIGCHLD = 17;
export const SIGCONT = 18;
export const SIGSTOP = 19;
export const SIGTSTP = 20;
export const SIGTTIN = 21;
export const SIGTTOU = 22;
export const SIGURG = 23;
export const SIGXCPU = 24;
export const SIGXFSZ = 25;
export const SIGVTALRM = 26;
export const SIGPROF = 27;
export const SIGWINCH = 28;
export const SIGIO = 29;
export const SIGPWR = 30;
export const SIGSYS = 31;
/** The first real-time signal as the kernel counts them. */
export const SIGRTMIN = 32;
export const SIGNAL_COUNT = 64;

/** Names by number, as kill -l and strace print them. */
export const signalNames: readonly string[] = [
  '', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGKILL', 'SIGUSR1', 'SIGSEGV',
  'SIGUSR2', 'SIGPIPE', 'SIGALRM', 'SIGTERM', 'SIGSTKFLT', 'SIGCHLD', 'SIGCONT', 'SIGSTOP', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU',
  'SIGURG', 'SIGXCPU', 'SIGXFSZ', 'SIGVTALRM', 'SIGPROF', 'SIGWINCH', 'SIGIO', 'SIGPWR', 'SIGSYS',
]; // prettier-ignore

/** The set that holds just this signal. */
export const signalBit = (signal: number): bigint => 1n << BigInt(signal - 1);

function signalSet(...signals: readonly number[]): bigint {
  return signals.reduce((set, signal) => set | signalBit(signal), 0n);
}

export const UNBLOCKABLE = signalSet(SIGKILL, SIGSTOP);
export const STOP_SIGNALS = signalSet(SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU);
export const CORE_SIGNALS = signalSet(
  SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGSEGV, SIGBUS, SIGSYS, SIGXCPU, SIGXFSZ,
); // prettier-ignore
export const IGNORED_BY_DEFAULT = signalSet(SIGCONT, SIGCHLD, SIGWINCH, SIGURG);
/** Raised by the instruction itself: delivered before all others. */
export const SYNCHRONOUS_SIGNALS = signalSet(SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS);

export type DefaultAction = 'terminate' | 'core' | 'stop' | 'continue' | 'ignore';

/** What SIG_DFL does, signal(7). */
export function defaultAction(signal: number): DefaultAction {
  const bit = signalBit(signal);
  if (signal === SIGCONT) return 'continue';
  if ((IGNORED_BY_DEFAULT & bit) !== 0n) return 'ignore';
  if ((STOP_SIGNALS & bit) !== 0n) return 'stop';
  return (CORE_SIGNALS & bit) !== 0n ? 'core' : 'terminate';
}

export const SIG_DFL = 0;
export const SIG_IGN = 1;

export const SA = {
  NOCLDSTOP: 0x1,
  NOCLDWAIT: 0x2,
  SIGINFO: 0x4,
  UNSUPPORTED: 0x400,
  EXPOSE_TAGBITS: 0x800,
  RESTORER: 0x0400_0000,
  ONSTACK: 0x0800_0000,
  RESTART: 0x1000_0000,
  NODEFER: 0x4000_0000,
  RESETHAND: 0x8000_0000,
} as const;
/** The flags that this kernel knows; others are cleared, so that programs can probe (SA_UNSUPPORTED). */
export const SA_KNOWN = 0xdc00_0807;

export const SIG_BLOCK = 0;
export const SIG_UNBLOCK = 1;
export const SIG_SETMASK = 2;

export const SS_ONSTACK = 1;
export const SS_DISABLE = 2;
export const SS_AUTODISARM = 0x8000_0000;
export const MINSIGSTKSZ = 2048;

export const SI_USER = 0;
export const SI_KERNEL = 0x80;
export const SI_QUEUE = -1;
export const SI_TIMER = -2;
export const SI_MESGQ = -3;
export const SI_ASYNCIO = -4;
export const SI_SIGIO = -5;
export const SI_TKILL = -6;

export const ILL_ILLOPN = 2;
export const FPE_INTDIV = 1;
export const FPE_FLTDIV = 3;
export const FPE_FLTOVF = 4;
export const FPE_FLTUND = 5;
export const FPE_FLTRES = 6;
export const FPE_FLTINV = 7;
export const SEGV_MAPERR = 1;
export const SEGV_ACCERR = 2;
export const BUS_ADRALN = 1;
export const BUS_ADRERR = 2;
export const TRAP_BRKPT = 1;
export const TRAP_TRACE = 2;

export const CLD_EXITED = 1;
export const CLD_KILLED = 2;
export const CLD_DUMPED = 3;
export const CLD_TRAPPED = 4;
export const CLD_STOPPED = 5;
export const CLD_CONTINUED = 6;

export const SIGACTION_BYTES = 32; // struct kernel_sigaction: handler, flags, restorer, mask
export const STACK_T_BYTES = 24;
export const SIGINFO_BYTES = 128;
export const SIGEVENT_BYTES = 64;

export interface RawSigaction {
  readonly handler: number;
  readonly flags: number;
  readonly restorer: number;
  readonly mask: bigint;
}

export function readSigaction(bytes: Uint8Array): RawSigaction {
  return {
    handler: get64(bytes, 0),
    flags: get32(bytes, 8), // an unsigned long, of which only 32 bits are ever meant
    restorer: get64(bytes, 16),
    mask: getBig64(bytes, 24),
  };
}

export function writeSigaction(action: RawSigaction): Uint8Array {
  const bytes = new Uint8Array(SIGACTION_BYTES);
  put64(bytes, 0, action.handler);
  put32(bytes, 8, action.flags);
  put64(bytes, 16, action.restorer);
  putBig64(bytes, 24, action.mask);
  return bytes;
}

export interface StackT {
  readonly address: number;
  readonly flags: number;
  readonly size: number;
}

export function readStackT(bytes: Uint8Array): StackT {
  return { address: get64(bytes, 0), flags: get32(bytes, 8), size: get64(bytes, 16) };
}

export function writeStackT(stack: StackT): Uint8Array {
  const bytes = new Uint8Array(STACK_T_BYTES);
  put64(bytes, 0, stack.address);
  put32(bytes, 8, stack.flags);
  put64(bytes, 16, stack.size);
  return bytes;
}

/** The parts of siginfo_t that any signal may carry. */
export interface SiginfoFields {
  readonly signal: number;
  readonly code: number;
  readonly errno: number;
  readonly pid: number;
  readonly uid: number;
  readonly status: number;
  readonly address: number;
  readonly value: bigint;
  /** POSIX timers and SIGCHLD use the words differently. */
  readonly timer?: number;
  readonly overrun?: number;
  readonly userNs?: number;
  readonly systemNs?: number;
  /** Of the exception that raised it, for the frame's trapno and err. */
  readonly vector?: number;
  readonly errorCode?: number;
}

const FAULT_SIGNALS = signalSet(SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP);

/** siginfo_t; which member of its union is meant follows from the code and the signal (kernel/signal.c, siginfo_layout). */
export function writeSiginfo(info: SiginfoFields): Uint8Array {
  const bytes = new Uint8Array(SIGINFO_BYTES);
  put32(bytes, 0, info.signal);
  put32(bytes, 4, info.errno);
  put32(bytes, 8, info.code);
  const fromKernel = info.code > SI_USER && info.code < SI_KERNEL;
  if (fromKernel && (FAULT_SIGNALS & signalBit(info.signal)) !== 0n) {
    put64(bytes, 16, info.address);
    return bytes;
  }
  if (fromKernel && info.signal === SIGIO) {
    put64(bytes, 16, info.status); // si_band
    put32(bytes, 24, info.address); // si_fd
    return bytes;
  }
  if (info.code === SI_TIMER) {
    put32(bytes, 16, info.timer ?? 0);
    put32(bytes, 20, info.overrun ?? 0);
    putBig64(bytes, 24, info.value);
    return bytes;
  }
  put32(bytes, 16, info.pid);
  put32(bytes, 20, info.uid);
  if (fromKernel && info.signal === SIGCHLD) {
    put32(bytes, 24, info.status);
    put64(bytes, 32, Math.floor((info.userNs ?? 0) / 10_000_000)); // clock_t, 100 a second
    put64(bytes, 40, Math.floor((info.systemNs ?? 0) / 10_000_000));
    return bytes;
  }
  if (info.signal === SIGSYS && fromKernel) {
    put64(bytes, 16, info.address);
    put32(bytes, 24, info.status);
    put32(bytes, 28, 0xc000_003e); // AUDIT_ARCH_X86_64
    return bytes;
  }
  if (info.code < 0) putBig64(bytes, 24, info.value);
  return bytes;
}

/** What a program passes to rt_sigqueueinfo. */
export function readSiginfo(bytes: Uint8Array): SiginfoFields {
  const code = getSigned32(bytes, 8);
  return {
    signal: getSigned32(bytes, 0),
    errno: getSigned32(bytes, 4),
    code,
    pid: getSigned32(bytes, 16),
    uid: get32(bytes, 20),
    status: 0,
    address: 0,
    value: getBig64(bytes, 24),
  };
}
