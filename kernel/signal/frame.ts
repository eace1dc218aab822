// Entering a handler and coming back (arch/x86/kernel/signal.c): the frame goes below the red zone, or on the alternate
// stack, with the FPU's XSAVE area above it; rt_sigreturn takes everything back. A frame from a hostile program can only hurt
// that program: whatever does not fit ends in SIGSEGV.
import { EFAULT, failed, type Failure } from '../abi/errno.ts';
import { MXCSR_MASK } from '../abi/fxsave.ts';
import { SA, SIGNAL_COUNT, SS_AUTODISARM, UNBLOCKABLE, signalBit } from '../abi/signal.ts';
import {
  FRAME_BYTES, FRAME_SIGINFO, FRAME_UCONTEXT, RED_ZONE_BYTES, SIGCONTEXT_REGISTERS, SW_BYTES, UCONTEXT_BYTES, fpstateBytes,
  isMarkedFpstate, readUcontext, writeFpstate, writeSignalFrame,
} from '../abi/signal-frame.ts'; // prettier-ignore
import { get32 } from '../lib/bytes.ts';
import {
  FXSAVE_BYTES, REGISTER, initialXsave, isXsaveHeader, loadXsave, readRegister, readRegisterBig, saveXsave, writeRegister,
  writeRegisterBig,
} from '../machine/index.ts'; // prettier-ignore
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { altStackStatus, isOnAltStack, noAltStack, rangeHolds } from './alt-stack.ts';
import type { SignalAction, SignalInfo } from './state.ts';
import { ways } from './ways.ts';

/** User flags that a handler may hand back: AC RF OF DF TF SF ZF AF PF CF. */
const RESTORABLE_FLAGS = 0x50dd5n;
const FIXED_FLAGS = 0x202n;
/** Cleared at a handler's start: DF RF TF. */
const CLEARED_FLAGS = 0x10500n;
/** XSTATE_BV of an FXSAVE image. */
const X87_AND_SSE = 3;
const SIGNAL_SET_MASK = (1n << BigInt(SIGNAL_COUNT)) - 1n;

export interface FramePlace {
  readonly frame: number;
  readonly fpstate: number;
}

/** Where the frame goes, or EFAULT when it would leave the alternate stack that it is on. */
export function placeFrame(
  task: Task,
  action: SignalAction,
  sp: number,
  fpstateLength: number,
): FramePlace | Failure {
  const { altStack } = task.signals;
  const nested = isOnAltStack(altStack, sp);
  const entering = (action.flags & SA.ONSTACK) !== 0 && altStackStatus(altStack, sp) === 0;
  const top = entering ? altStack.address + altStack.size : sp - RED_ZONE_BYTES;
  const fpstate = Math.floor((top - fpstateLength) / 64) * 64;
  const frame = Math.floor((fpstate - FRAME_BYTES) / 16) * 16 - 8;
  if (frame < 0) return EFAULT;
  if ((nested || entering) && !rangeHolds(altStack, frame)) return EFAULT;
  return { frame, fpstate };
}

/** Writes the frame and sends the task into the handler. BLOCKED or EFAULT: nothing has changed. */
export function enterHandler(
  kernel: Kernel,
  task: Task,
  info: SignalInfo,
  action: SignalAction,
): number | Failure {
  const { machine, cpu } = kernel;
  if ((action.flags & SA.RESTORER) === 0) return EFAULT;
  const place = placeFrame(task, action, readRegister(machine, cpu, REGISTER.rsp), fpstateBytes(machine));
  if (failed(place)) return place;
  const length = place.fpstate + fpstateBytes(machine) - place.frame;
  const reachable = ways.faultInUser(kernel, task, place.frame, length, 'write');
  if (failed(reachable)) return reachable;
  const { altStack } = task.signals;
  const bytes = new Uint8Array(length);
  bytes.set(
    writeSignalFrame({
      restorer: action.restorer,
      stack: altStack,
      registers: SIGCONTEXT_REGISTERS.map((register) => readRegisterBig(machine, cpu, register)),
      errorCode: info.errorCode ?? 0,
      vector: info.vector ?? 0,
      cr2: info.code > 0 ? info.address : 0,
      fpstate: place.fpstate,
      mask: task.signals.savedMask ?? task.signals.blocked,
      info,
    }),
  );
  bytes.set(writeFpstate(machine, saveXsave(machine, cpu)), place.fpstate - place.frame);
  const written = ways.writeUser(kernel, task, place.frame, bytes);
  if (failed(written)) return written;
  if (altStack.flags >= SS_AUTODISARM) task.signals.altStack = noAltStack();
  startHandler(kernel, info.signal, action.handler, place.frame);
  return 0;
}

function startHandler(kernel: Kernel, signal: number, handler: number, frame: number): void {
  const { machine, cpu } = kernel;
  writeRegister(machine, cpu, REGISTER.rdi, signal);
  writeRegister(machine, cpu, REGISTER.rsi, frame + FRAME_SIGINFO);
  writeRegister(machine, cpu, REGISTER.rdx, frame + FRAME_UCONTEXT);
  writeRegister(machine, cpu, REGISTER.rax, 0);
  writeRegister(machine, cpu, REGISTER.rsp, frame);
  writeRegister(machine, cpu, REGISTER.rip, handler);
  const flags = readRegisterBig(machine, cpu, REGISTER.rflags);
  writeRegisterBig(machine, cpu, REGISTER.rflags, flags & ~CLEARED_FLAGS);
  loadXsave(machine, cpu, initialXsave(machine));
}

/** After the frame stands: the handler's mask is in force (SA_NODEFER leaves the signal itself open). */
export function blockForHandler(task: Task, signal: number, action: SignalAction): void {
  const itself = (action.flags & SA.NODEFER) === 0 ? signalBit(signal) : 0n;
  task.signals.savedMask = null;
  task.signals.blocked = (task.signals.blocked | action.mask | itself) & ~UNBLOCKABLE & SIGNAL_SET_MASK;
}

/** rt_sigreturn: takes registers, mask and stack from the frame at RSP-8. Gives the restored RAX, BLOCKED, or EFAULT. */
export function restoreFrame(kernel: Kernel, task: Task): bigint | Failure {
  const { machine, cpu } = kernel;
  const frame = readRegister(machine, cpu, REGISTER.rsp) - 8;
  const uc = ways.readUser(kernel, task, frame + FRAME_UCONTEXT, UCONTEXT_BYTES);
  if (failed(uc)) return uc;
  const context = readUcontext(uc);
  if (!context.selectorsValid) return EFAULT;
  const fpstate = context.fpstate === 0 ? initialXsave(machine) : readFpstate(kernel, task, context.fpstate);
  if (failed(fpstate)) return fpstate;
  task.signals.blocked = context.mask & ~UNBLOCKABLE;
  const oldFlags = readRegisterBig(machine, cpu, REGISTER.rflags);
  let rax = 0n;
  SIGCONTEXT_REGISTERS.forEach((register, i) => {
    const value = context.registers[i] ?? 0n;
    if (register === REGISTER.rax) rax = value;
    if (register !== REGISTER.rflags) writeRegisterBig(machine, cpu, register, value);
    else
      writeRegisterBig(
        machine,
        cpu,
        register,
        (oldFlags & ~RESTORABLE_FLAGS) | (value & RESTORABLE_FLAGS) | FIXED_FLAGS,
      );
  });
  loadXsave(machine, cpu, fpstate);
  restoreAltStack(task, context.stack);
  return rax;
}

/** The FPU state of a frame as an XSAVE area; one that is not marked counts as an FXSAVE image, the rest as initial. */
function readFpstate(kernel: Kernel, task: Task, address: number): Uint8Array | Failure {
  const { machine } = kernel;
  const image = ways.readUser(kernel, task, address, FXSAVE_BYTES);
  if (failed(image)) return image;
  if (image.length < FXSAVE_BYTES) return EFAULT;
  // Reserved MXCSR bits would raise #GP in XRSTOR; Linux refuses the frame
  if ((get32(image, 24) & ~MXCSR_MASK) !== 0) return EFAULT;
  const area = initialXsave(machine);
  if (get32(image, SW_BYTES.at) === SW_BYTES.magic1) {
    const whole = ways.readUser(kernel, task, address, fpstateBytes(machine));
    if (failed(whole)) return whole;
    if (isMarkedFpstate(machine, whole)) {
      area.set(whole.subarray(0, area.length));
      return isXsaveHeader(machine, area) ? area : EFAULT;
    }
  }
  area.set(image);
  area[FXSAVE_BYTES] = X87_AND_SSE;
  return area;
}

/** As sigaltstack would do, but what it refuses is left out without a word. */
function restoreAltStack(task: Task, stack: { address: number; size: number; flags: number }): void {
  const current = task.signals.altStack;
  const same =
    stack.address === current.address && stack.size === current.size && stack.flags === current.flags;
  const mode = stack.flags % SS_AUTODISARM;
  if (same || mode > 2) return;
  if (mode === 2) task.signals.altStack = noAltStack();
  else if (stack.size >= 2048) task.signals.altStack = { ...stack };
}
