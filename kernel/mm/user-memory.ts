// The kernel's access to user memory: page tables are walked here, missing pages are faulted in as the CPU would do it,
// accessed and dirty bits are set. Every function may give BLOCKED (a page comes from disk; start over) or EFAULT.
// Addresses are resolved for the whole range before a byte is moved.
import { BLOCKED, EFAULT, ENAMETOOLONG, failed, type Failure } from '../abi/errno.ts';
import { USER_END } from '../abi/mman.ts';
import { get32, get64, latin1 } from '../lib/bytes.ts';
import {
  copyPhysical, fillPhysical, load32, load64, load64Big, load8, PTE, readBytes, store32, store64, store64Big, store8,
  viewBytes, writeBytes,
} from '../machine/index.ts'; // prettier-ignore
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import { faultPage, type Access } from './fault.ts';
import type { Mm } from './mm.ts';
import { findPte } from './page-table.ts';
import { loadWord, storeWord } from './physical.ts';

const READABLE = PTE.present | PTE.user;
const WRITABLE = PTE.present | PTE.user | PTE.write;
const TRIES = 8;

/** Physical address of a user byte, ready for the access. */
function physicalOf(
  kernel: Kernel,
  task: Task | null,
  mm: Mm,
  address: number,
  access: Access,
): number | Failure {
  const mask = access === 'write' ? WRITABLE : READABLE;
  const bits = access === 'write' ? PTE.accessed | PTE.dirty : PTE.accessed;
  if (!(address >= 0 && address < USER_END)) return EFAULT;
  for (let tries = 0; tries < TRIES; tries++) {
    const pte = findPte(kernel, mm.root, address);
    if (pte !== 0) {
      const low = loadWord(kernel, pte) >>> 0;
      if ((low & mask) === mask) {
        if ((low & bits) !== bits) storeWord(kernel, pte, (low | bits) >>> 0);
        return ((low & 0xffff_f000) >>> 0) + (address % 4096);
      }
    }
    const result = faultPage(kernel, task, mm, address, access);
    if (failed(result)) return result === BLOCKED ? result : EFAULT;
  }
  return EFAULT;
}

/** Pieces of contiguous RAM that make up a range: physical addresses and lengths in turn. Used up at once by the caller. */
const pieces: number[] = [];

/** Resolves a range into `pieces`. Again from the start when reclaim, making room for a later page, took an earlier one. */
function resolveRange(
  kernel: Kernel,
  task: Task | null,
  mm: Mm,
  address: number,
  length: number,
  access: Access,
): number | Failure {
  const end = address + length;
  if (!(end <= USER_END)) return EFAULT;
  for (let tries = 0; tries < TRIES; tries++) {
    const generation = kernel.memory.unmapGeneration;
    pieces.length = 0;
    for (let at = address; at < end;) {
      const physical = physicalOf(kernel, task, mm, at, access);
      if (failed(physical)) return physical;
      const size = Math.min(end - at, 4096 - (at % 4096));
      const last = pieces.length - 2;
      if (last >= 0 && (pieces[last] ?? 0) + (pieces[last + 1] ?? 0) === physical) pieces[last + 1] = (pieces[last + 1] ?? 0) + size;
      else pieces.push(physical, size); // prettier-ignore
      at += size;
    }
    if (generation === kernel.memory.unmapGeneration) return 0;
  }
  return EFAULT;
}

const fitsPage = (address: number, length: number): boolean => (address % 4096) + length <= 4096;

/** A copy of user memory of any mm (`task` is whose faults they are). */
export function readMm(
  kernel: Kernel,
  task: Task | null,
  mm: Mm,
  address: number,
  length: number,
): Uint8Array | Failure {
  if (length === 0) return new Uint8Array(0);
  if (fitsPage(address, length)) {
    const physical = physicalOf(kernel, task, mm, address, 'read');
    return failed(physical) ? physical : readBytes(kernel.machine, physical, length);
  }
  const resolved = resolveRange(kernel, task, mm, address, length, 'read');
  if (failed(resolved)) return resolved;
  const bytes = new Uint8Array(length);
  for (let i = 0, at = 0; i < pieces.length; i += 2) {
    const size = pieces[i + 1] ?? 0;
    bytes.set(viewBytes(kernel.machine, pieces[i] ?? 0, size), at);
    at += size;
  }
  return bytes;
}

/** Writes to any mm. `access` 'force' writes to read-only private memory too (ptrace, /proc/PID/mem). */
export function writeMm(
  kernel: Kernel, task: Task | null, mm: Mm, address: number, bytes: Uint8Array, access: 'write' | 'force' = 'write',
): number | Failure {
  if (bytes.length === 0) return 0;
  if (access === 'force') {
    const forced = forceRange(kernel, task, mm, address, bytes.length);
    if (failed(forced)) return forced;
  } else if (fitsPage(address, bytes.length)) {
    const physical = physicalOf(kernel, task, mm, address, 'write');
    if (failed(physical)) return physical;
    writeBytes(kernel.machine, physical, bytes);
    return bytes.length;
  } else {
    const resolved = resolveRange(kernel, task, mm, address, bytes.length, 'write');
    if (failed(resolved)) return resolved;
  }
  for (let i = 0, at = 0; i < pieces.length; i += 2) {
    const size = pieces[i + 1] ?? 0;
    writeBytes(kernel.machine, pieces[i] ?? 0, bytes.subarray(at, at + size));
    at += size;
  }
  return bytes.length;
} // prettier-ignore

/** Copies from RAM at a physical address to user memory. Gives the length. */
export function copyToUser(
  kernel: Kernel,
  task: Task,
  address: number,
  physical: number,
  length: number,
): number | Failure {
  return copyUser(kernel, task, address, physical, length, 'write');
}

/** Copies from user memory to RAM at a physical address. Gives the length. */
export function copyFromUser(
  kernel: Kernel,
  task: Task,
  address: number,
  physical: number,
  length: number,
): number | Failure {
  return copyUser(kernel, task, address, physical, length, 'read');
}

function copyUser(
  kernel: Kernel,
  task: Task,
  address: number,
  physical: number,
  length: number,
  access: 'read' | 'write',
): number | Failure {
  if (task.mm === null) return EFAULT;
  if (fitsPage(address, length)) {
    const user = physicalOf(kernel, task, task.mm, address, access);
    if (failed(user)) return user;
    copyPiece(kernel, user, physical, length, access);
    return length;
  }
  const resolved = resolveRange(kernel, task, task.mm, address, length, access);
  if (failed(resolved)) return resolved;
  for (let i = 0, at = physical; i < pieces.length; i += 2) {
    const size = pieces[i + 1] ?? 0;
    copyPiece(kernel, pieces[i] ?? 0, at, size, access);
    at += size;
  }
  return length;
}

function copyPiece(
  kernel: Kernel,
  user: number,
  physical: number,
  size: number,
  access: 'read' | 'write',
): void {
  if (access === 'write') copyPhysical(kernel.machine, user, physical, size);
  else copyPhysical(kernel.machine, physical, user, size); // prettier-ignore
}

/** Gives pages that must not be written private copies, then resolves them for reading. */
function forceRange(
  kernel: Kernel,
  task: Task | null,
  mm: Mm,
  address: number,
  length: number,
): number | Failure {
  for (let page = address - (address % 4096); page < address + length; page += 4096) {
    const pte = findPte(kernel, mm.root, page);
    const low = pte === 0 ? 0 : loadWord(kernel, pte) >>> 0;
    if ((low & WRITABLE) === WRITABLE) continue;
    const result = faultPage(kernel, task, mm, page, 'force');
    if (failed(result)) return result === BLOCKED ? result : EFAULT;
  }
  return resolveRange(kernel, task, mm, address, length, 'read');
}

export function readUser(kernel: Kernel, task: Task, address: number, length: number): Uint8Array | Failure {
  return task.mm === null ? EFAULT : readMm(kernel, task, task.mm, address, length);
}

/** Gives the number of bytes written: all of them. */
export function writeUser(kernel: Kernel, task: Task, address: number, bytes: Uint8Array): number | Failure {
  return task.mm === null ? EFAULT : writeMm(kernel, task, task.mm, address, bytes);
}

export function clearMm(
  kernel: Kernel,
  task: Task | null,
  mm: Mm,
  address: number,
  length: number,
): number | Failure {
  const resolved = resolveRange(kernel, task, mm, address, length, 'write');
  if (failed(resolved)) return resolved;
  for (let i = 0; i < pieces.length; i += 2)
    fillPhysical(kernel.machine, pieces[i] ?? 0, 0, pieces[i + 1] ?? 0);
  return length;
}

/** A string up to its NUL, one char per byte. ENAMETOOLONG when there is none within maxBytes. */
export function readUserString(
  kernel: Kernel,
  task: Task,
  address: number,
  maxBytes: number,
): string | Failure {
  if (task.mm === null) return EFAULT;
  let text = '';
  for (let at = address; at < address + maxBytes;) {
    const physical = physicalOf(kernel, task, task.mm, at, 'read');
    if (failed(physical)) return physical;
    const size = Math.min(address + maxBytes - at, 4096 - (at % 4096));
    const bytes = viewBytes(kernel.machine, physical, size);
    const end = bytes.indexOf(0);
    if (end >= 0) return text + latin1(bytes.subarray(0, end));
    text += latin1(bytes);
    at += size;
  }
  return ENAMETOOLONG;
}

/** Makes the range accessible, so that accesses which follow at once cannot fail or block. */
export function faultInUser(
  kernel: Kernel,
  task: Task,
  address: number,
  length: number,
  access: 'read' | 'write',
): number | Failure {
  if (task.mm === null) return EFAULT;
  if (length === 0) return 0;
  return resolveRange(kernel, task, task.mm, address, length, access);
}

/** Physical address of a user byte after faulting it in: futex keys, atomic operations. */
export function userPhysical(
  kernel: Kernel,
  task: Task,
  address: number,
  access: 'read' | 'write',
): number | Failure {
  return task.mm === null ? EFAULT : physicalOf(kernel, task, task.mm, address, access);
}

export function loadUser8(kernel: Kernel, task: Task, address: number): number | Failure {
  const physical = userPhysical(kernel, task, address, 'read');
  return failed(physical) ? physical : load8(kernel.machine, physical);
}

/** Unsigned 32 bits. */
export function loadUser32(kernel: Kernel, task: Task, address: number): number | Failure {
  if (fitsPage(address, 4)) {
    const physical = userPhysical(kernel, task, address, 'read');
    return failed(physical) ? physical : load32(kernel.machine, physical);
  }
  const bytes = readUser(kernel, task, address, 4);
  return failed(bytes) ? bytes : get32(bytes, 0);
}

/** Unsigned 64 bits, rounded above 2^53. */
export function loadUser64(kernel: Kernel, task: Task, address: number): number | Failure {
  if (fitsPage(address, 8)) {
    const physical = userPhysical(kernel, task, address, 'read');
    return failed(physical) ? physical : load64(kernel.machine, physical);
  }
  const bytes = readUser(kernel, task, address, 8);
  return failed(bytes) ? bytes : get64(bytes, 0);
}

/** Unsigned 64 bits. */
export function loadUserBig(kernel: Kernel, task: Task, address: number): bigint | Failure {
  if (fitsPage(address, 8)) {
    const physical = userPhysical(kernel, task, address, 'read');
    return failed(physical) ? physical : load64Big(kernel.machine, physical);
  }
  const bytes = readUser(kernel, task, address, 8);
  return failed(bytes) ? bytes : (BigInt(get32(bytes, 4)) << 32n) | BigInt(get32(bytes, 0));
}

export function storeUser8(kernel: Kernel, task: Task, address: number, value: number): number | Failure {
  const physical = userPhysical(kernel, task, address, 'write');
  if (failed(physical)) return physical;
  store8(kernel.machine, physical, value);
  return 0;
}

export function storeUser32(kernel: Kernel, task: Task, address: number, value: number): number | Failure {
  return storeUserWith(kernel, task, address, 4, (physical) => store32(kernel.machine, physical, value));
}

/** A whole number of at most 53 bits; a negative one as two's complement. */
export function storeUser64(kernel: Kernel, task: Task, address: number, value: number): number | Failure {
  return storeUserWith(kernel, task, address, 8, (physical) => store64(kernel.machine, physical, value));
}

export function storeUserBig(kernel: Kernel, task: Task, address: number, value: bigint): number | Failure {
  return storeUserWith(kernel, task, address, 8, (physical) =>
    store64Big(kernel.machine, physical, BigInt.asUintN(64, value)),
  );
}

/** Where a number crosses pages it is written byte by byte through a frame-sized detour. */
function storeUserWith(
  kernel: Kernel,
  task: Task,
  address: number,
  length: number,
  store: (physical: number) => void,
): number | Failure {
  if (fitsPage(address, length)) {
    const physical = userPhysical(kernel, task, address, 'write');
    if (failed(physical)) return physical;
    store(physical);
    return 0;
  }
  const resolved = faultInUser(kernel, task, address, length, 'write');
  if (failed(resolved)) return resolved;
  // The kernel's own frame 0 is never mapped: its first bytes serve as scratch.
  store(0);
  const bytes = readBytes(kernel.machine, 0, length);
  const written = writeUser(kernel, task, address, bytes);
  return failed(written) ? written : 0;
}
