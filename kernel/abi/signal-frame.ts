// struct rt_sigframe of x86-64 (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h):
//
//     0 return address (the restorer)      312 siginfo, 128 bytes
//     8 ucontext, 304 bytes                440 end; the XSAVE area lies above it, at a multiple of 64
//
// and in the ucontext: 0 uc_flags, 8 uc_link, 16 uc_stack, 40 sigcontext (256 bytes), 296 uc_sigmask.
import {
  REGISTER,
  machineComponents,
  xsaveAreaBytes,
  type Machine,
  type RegisterNumber,
} from '../machine/index.ts';
import { get16, get32, get64, getBig64, put16, put32, put64, putBig64 } from '../lib/bytes.ts';
import { readStackT, writeSiginfo, writeStackT, type SiginfoFields, type StackT } from './signal.ts';

export const FRAME_BYTES = 440;
export const FRAME_UCONTEXT = 8;
export const FRAME_SIGINFO = 312;
export const UCONTEXT_BYTES = 304;
export const RED_ZONE_BYTES = 128;
/** AT_MINSIGSTKSZ: frame, FPU state and the most that alignment takes, rounded up to 16. */
export const minimumStack = (fpstate: number): number =>
  Math.ceil((FRAME_BYTES + fpstate + 15 + 63) / 16) * 16;

/** struct _fpx_sw_bytes in bytes 464 to 511 of the FPU state: says that more than an FXSAVE image follows. */
export const SW_BYTES = {
  at: 464, magic1: 0x4650_5853, extendedSize: 468, features: 472, size: 480, magic2: 0x4650_5845, magic2Bytes: 4,
} as const; // prettier-ignore

/** The XSAVE area and a magic number behind it. */
export const fpstateBytes = (machine: Machine): number => xsaveAreaBytes(machine) + SW_BYTES.magic2Bytes;

/** Marks an XSAVE area as signal frames have it (arch/x86/kernel/fpu/signal.c). */
export function writeFpstate(machine: Machine, area: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(fpstateBytes(machine));
  bytes.set(area);
  put32(bytes, SW_BYTES.at, SW_BYTES.magic1);
  put32(bytes, SW_BYTES.extendedSize, bytes.length);
  put32(bytes, SW_BYTES.features, machineComponents(machine));
  put32(bytes, SW_BYTES.size, area.length);
  put32(bytes, area.length, SW_BYTES.magic2);
  return bytes;
}

/** Is the FPU state marked so? What a program has made or changed may be an FXSAVE image only. */
export function isMarkedFpstate(machine: Machine, bytes: Uint8Array): boolean {
  const size = xsaveAreaBytes(machine);
  return (
    get32(bytes, SW_BYTES.at) === SW_BYTES.magic1 &&
    get32(bytes, SW_BYTES.extendedSize) === fpstateBytes(machine) &&
    get32(bytes, SW_BYTES.size) === size &&
    bytes.length >= fpstateBytes(machine) &&
    get32(bytes, size) === SW_BYTES.magic2
  );
}

const UC_STACK = 16;
const MCONTEXT = 40;
const UC_SIGMASK = 296;
const UC_FP_XSTATE = 1;
const UC_SIGCONTEXT_SS = 2;
const UC_STRICT_RESTORE_SS = 4;
const USER_CS = 0x33;
const USER_DS = 0x2b;

/** The registers in the order of struct sigcontext. */
export const SIGCONTEXT_REGISTERS: readonly RegisterNumber[] = [
  REGISTER.r8, REGISTER.r9, REGISTER.r10, REGISTER.r11, REGISTER.r12, REGISTER.r13, REGISTER.r14, REGISTER.r15,
  REGISTER.rdi, REGISTER.rsi, REGISTER.rbp, REGISTER.rbx, REGISTER.rdx, REGISTER.rax, REGISTER.rcx, REGISTER.rsp,
  REGISTER.rip, REGISTER.rflags,
]; // prettier-ignore
const AFTER_REGISTERS = MCONTEXT + 8 * SIGCONTEXT_REGISTERS.length;

export interface SignalFrame {
  readonly restorer: number;
  readonly stack: StackT;
  /** In the order of SIGCONTEXT_REGISTERS. */
  readonly registers: readonly bigint[];
  readonly errorCode: number;
  readonly vector: number;
  readonly cr2: number;
  /** Address of the FPU state. */
  readonly fpstate: number;
  readonly mask: bigint;
  readonly info: SiginfoFields;
}

export function writeSignalFrame(frame: SignalFrame): Uint8Array {
  const bytes = new Uint8Array(FRAME_BYTES);
  put64(bytes, 0, frame.restorer);
  const uc = bytes.subarray(FRAME_UCONTEXT, FRAME_UCONTEXT + UCONTEXT_BYTES);
  put64(uc, 0, UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS);
  uc.set(writeStackT(frame.stack), UC_STACK);
  frame.registers.forEach((value, i) => putBig64(uc, MCONTEXT + 8 * i, value));
  put16(uc, AFTER_REGISTERS, USER_CS);
  put16(uc, AFTER_REGISTERS + 6, USER_DS);
  put64(uc, AFTER_REGISTERS + 8, frame.errorCode);
  put64(uc, AFTER_REGISTERS + 16, frame.vector);
  putBig64(uc, AFTER_REGISTERS + 24, frame.mask); // oldmask
  put64(uc, AFTER_REGISTERS + 32, frame.cr2);
  put64(uc, AFTER_REGISTERS + 40, frame.fpstate);
  putBig64(uc, UC_SIGMASK, frame.mask);
  bytes.set(writeSiginfo(frame.info), FRAME_SIGINFO);
  return bytes;
}

export interface RestoredContext {
  readonly stack: StackT;
  readonly registers: readonly bigint[];
  readonly fpstate: number;
  readonly mask: bigint;
  /** False when the selectors are not those of 64-bit user code: the return to them faults. */
  readonly selectorsValid: boolean;
}

/** What rt_sigreturn reads back from the ucontext. */
export function readUcontext(uc: Uint8Array): RestoredContext {
  const strict = (get32(uc, 0) & UC_STRICT_RESTORE_SS) !== 0;
  const cs = get16(uc, AFTER_REGISTERS) | 3;
  const ss = get16(uc, AFTER_REGISTERS + 6) | 3;
  return {
    stack: readStackT(uc.subarray(UC_STACK)),
    registers: SIGCONTEXT_REGISTERS.map((_, i) => getBig64(uc, MCONTEXT + 8 * i)),
    fpstate: get64(uc, AFTER_REGISTERS + 40),
    mask: getBig64(uc, UC_SIGMASK),
    selectorsValid: cs === USER_CS && (ss === USER_DS || !strict),
  };
}
