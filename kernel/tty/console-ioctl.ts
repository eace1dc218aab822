// ioctl(2) on virtual consoles (ioctl_console(2)): what getty, login, busybox and editors ask. The screen is the host's
// terminal, so keyboard maps, fonts and palettes are not here.
import { EINVAL, ENOTTY, ENXIO, EPERM, failed, type Failure } from '../abi/errno.ts';
import { CAP, capabilityBit } from '../abi/capability.ts';
import { put16 } from '../lib/bytes.ts';
import { loadUser8, storeUser32, storeUser8, writeUser } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { MAX_CONSOLES, type Terminal } from './state.ts';

const KDGETLED = 0x4b31;
const KDSETLED = 0x4b32;
const KDGKBTYPE = 0x4b33;
const KDSETMODE = 0x4b3a;
const KDGETMODE = 0x4b3b;
const KDGKBMODE = 0x4b44;
const KDSKBMODE = 0x4b45;
const KDGKBLED = 0x4b64;
const KDSKBLED = 0x4b65;
const VT_OPENQRY = 0x5600;
const VT_GETMODE = 0x5601;
const VT_SETMODE = 0x5602;
const VT_GETSTATE = 0x5603;
const VT_ACTIVATE = 0x5606;
const VT_WAITACTIVE = 0x5607;
const VT_DISALLOCATE = 0x5608;
const VT_LOCKSWITCH = 0x560b;
const VT_UNLOCKSWITCH = 0x560c;
const TIOCLINUX = 0x541c;
const KB_101 = 2;

/** Whoever owns the console, or an administrator of terminals, may change it. */
function mayChange(task: Task, terminal: Terminal): boolean {
  const privileged = (task.credentials.effective & capabilityBit(CAP.SYS_TTY_CONFIG)) !== 0n;
  return privileged || task.process.tty === terminal.name;
}

export function consoleIoctl(
  kernel: Kernel,
  task: Task,
  terminal: Terminal,
  request: number,
  argument: number,
): number | Failure {
  const modes = terminal.console;
  if (modes === null) return ENOTTY;
  switch (request) {
    case KDGKBTYPE:
      return storeUser8(kernel, task, argument, KB_101);
    case KDGETMODE:
      return storeUser32(kernel, task, argument, modes.screenMode);
    case KDGKBMODE:
      return storeUser32(kernel, task, argument, modes.keyboardMode);
    case KDGETLED:
    case KDGKBLED:
      return storeUser8(kernel, task, argument, modes.leds);
    case KDSETMODE:
    case KDSKBMODE:
    case KDSETLED:
    case KDSKBLED:
      return setMode(task, terminal, modes, request, argument);
    case VT_OPENQRY:
      return storeUser32(kernel, task, argument, firstFreeConsole(kernel));
    case VT_GETMODE: // VT_AUTO: the kernel switches, nobody is asked
      return done(writeUser(kernel, task, argument, new Uint8Array(8)));
    case VT_SETMODE: {
      if (!mayChange(task, terminal)) return EPERM;
      const mode = loadUser8(kernel, task, argument);
      if (failed(mode)) return mode;
      return mode === 0 ? 0 : EINVAL;
    }
    case VT_GETSTATE:
      return done(writeUser(kernel, task, argument, consoleState(kernel)));
    case VT_ACTIVATE:
      if (!mayChange(task, terminal)) return EPERM;
      return activate(kernel, argument);
    case VT_WAITACTIVE:
      if (!mayChange(task, terminal)) return EPERM;
      return argument >= 1 && argument <= MAX_CONSOLES ? 0 : ENXIO;
    case VT_DISALLOCATE:
      return argument > MAX_CONSOLES ? ENXIO : 0;
    case VT_LOCKSWITCH:
    case VT_UNLOCKSWITCH:
      return mayChange(task, terminal) ? 0 : EPERM;
    case TIOCLINUX:
      return linuxQuestion(kernel, task, argument);
    default:
      return ENOTTY;
  }
}

const done = (moved: number | Failure): number | Failure => (failed(moved) ? moved : 0);

function setMode(
  task: Task,
  terminal: Terminal,
  modes: NonNullable<Terminal['console']>,
  request: number,
  value: number,
): number | Failure {
  if (!mayChange(task, terminal)) return EPERM;
  if (request === KDSETMODE) {
    if (value > 3) return EINVAL;
    modes.screenMode = value;
  } else if (request === KDSKBMODE) {
    if (value > 4) return EINVAL;
    modes.keyboardMode = value;
  } else {
    if (value & ~7 && request === KDSKBLED) return EINVAL;
    modes.leds = value & 7;
  }
  return 0;
}

function firstFreeConsole(kernel: Kernel): number {
  for (let index = 1; index <= MAX_CONSOLES; index++) {
    const terminal = kernel.tty.terminals.get(`tty${index}`);
    if (terminal === undefined || (terminal.opens === 0 && index > 1)) return index;
  }
  return -1;
}

/** struct vt_stat: the active console, a signal, and a bit for each console in use (bit 0 is always set). */
function consoleState(kernel: Kernel): Uint8Array {
  let inUse = 1;
  for (let index = 1; index < 16; index++) {
    const terminal = kernel.tty.terminals.get(`tty${index}`);
    if (terminal !== undefined && (terminal.opens > 0 || index === kernel.tty.foregroundConsole))
      inUse |= 1 << index;
  }
  const bytes = new Uint8Array(6);
  put16(bytes, 0, kernel.tty.foregroundConsole);
  put16(bytes, 4, inUse);
  return bytes;
}

function activate(kernel: Kernel, index: number): number | Failure {
  if (index < 1 || index > MAX_CONSOLES || !kernel.tty.terminals.has(`tty${index}`)) return ENXIO;
  kernel.tty.foregroundConsole = index;
  return 0;
}

/** TIOCLINUX (ioctl_console(2)): its first byte says what is asked. */
function linuxQuestion(kernel: Kernel, task: Task, argument: number): number | Failure {
  const question = loadUser8(kernel, task, argument);
  if (failed(question)) return question;
  switch (question) {
    case 6: // shift state
      return storeUser8(kernel, task, argument, 0);
    case 10: // TIOCL_SETKMSGREDIRECT's reader: the kernel's messages go nowhere else
      return 0;
    case 12: // TIOCL_GETFGCONSOLE, counted from 0
      return kernel.tty.foregroundConsole - 1;
    default:
      return EINVAL;
  }
}
