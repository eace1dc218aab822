// A new program's memory (fs/binfmt_elf.c load_elf_binary, arch/x86/mm/mmap.c): segments, dynamic loader, vDSO, heap and
// stack in an mm that nobody runs in yet.
//
//     0x400000 …            a program of fixed place, its heap above it
//     0x555555554000 + r    a relocatable program
//     mmap base, downwards  loader, vDSO, what the program maps: below the stack by its limit, at least 128 MiB
//     0x7ffffffff000 - r    end of the stack
import { BLOCKED, EFAULT, EINVAL, failed, type Failure } from '../abi/errno.ts';
import { AT } from '../abi/auxv.ts';
import { MAP, PROT, USER_END } from '../abi/mman.ts';
import { RLIMIT } from '../abi/resource.ts';
import { fpstateBytes, minimumStack } from '../abi/signal-frame.ts';
import type { OpenFile } from '../fs/vfs/open-file.ts';
import { random32, randomBelow, randomFill } from '../lib/random.ts';
import { leavesOf, type CpuidLeaf } from '../machine/index.ts';
import { findGap, mapMemory } from '../mm/map.ts';
import type { Mm } from '../mm/mm.ts';
import { newMm, putMm } from '../mm/mm-life.ts';
import { clearMm, writeMm } from '../mm/user-memory.ts';
import type { Task } from '../sched/task.ts';
import type { Kernel } from '../state.ts';
import type { Credentials } from './credentials.ts';
import type { Image, Program } from './exec-file.ts';
import { buildStack } from './exec-stack.ts';
import {
  PF, maximumAlignment, pageEnd, pageStart, programHeadersAddress, totalMappingSize, type Segment,
} from './elf.ts'; // prettier-ignore
import { rlimitOf } from './rlimits.ts';
import { VDSO_MAP_BYTES, vdsoSpace } from './vdso.ts';
import { VVAR_BYTES } from './vdso-image.ts';

const PAGE = 4096;
const MIB = 1024 * 1024;
const PROGRAM_BASE = 0x5555_5555_4000;
const STACK_GAP_MIN = 128 * MIB;
/** How much the stack's VMA is larger than what is on it at the start. */
const STACK_EXPAND = 128 * 1024;
const STACK_GUARD = 256 * PAGE;
/** Bits of randomness, in pages: stack 22, maps and programs 28, heap within 32 MiB. */
const STACK_RANDOM_PAGES = 0x40_0000;
const MAP_RANDOM_PAGES = 2 ** 28;
const HEAP_RANDOM_BYTES = 32 * MIB;
const STACK_SHIFT_BYTES = 8192;
/** AT_HWCAP2: RDFSBASE and its like may be used (uapi/asm/hwcap2.h). */
const HWCAP2_FSGSBASE = 2;

export interface NewMemory {
  readonly mm: Mm;
  readonly entry: number;
  readonly sp: number;
}

export interface MemoryRequest {
  readonly credentials: Credentials;
  readonly secure: boolean;
  readonly envp: readonly string[];
  readonly randomize: boolean;
}

/** Builds it all; on any failure, BLOCKED too, nothing is left. */
export function buildMemory(
  kernel: Kernel,
  task: Task,
  program: Program,
  request: MemoryRequest,
): NewMemory | Failure {
  const mm = newMm(kernel);
  if (failed(mm)) return mm;
  const built = fillMemory(kernel, task, mm, program, request);
  if (failed(built)) putMm(kernel, mm);
  return built;
}

/** A random multiple of the page size, or 0. */
function randomPages(kernel: Kernel, request: MemoryRequest, pages: number): number {
  if (!request.randomize || kernel.process.randomizeVaSpace === 0) return 0;
  return (random32(kernel.random) % pages) * PAGE;
}

function fillMemory(
  kernel: Kernel,
  task: Task,
  mm: Mm,
  program: Program,
  request: MemoryRequest,
): NewMemory | Failure {
  const stackTop = USER_END - randomPages(kernel, request, STACK_RANDOM_PAGES);
  mm.mmapBase = mmapBase(kernel, task, request);
  const placed = mapProgram(kernel, task, mm, program, request);
  if (failed(placed)) return placed;
  const loader = program.loader === null ? null : mapLoader(kernel, task, mm, program.loader);
  if (failed(loader)) return loader;
  const vdso = mapVdso(kernel, mm);
  if (failed(vdso)) return vdso;
  const entry = loader === null ? program.header.entry + placed.bias : loader.entry;
  if (entry >= USER_END) return EINVAL;
  const sp = fillStack(kernel, task, mm, program, request, stackTop, {
    vdso, bias: placed.bias, base: loader?.base ?? 0,
  }); // prettier-ignore
  return failed(sp) ? sp : { mm, entry, sp };
}

/** Below the stack with room for it to grow to its limit (mmap_base). */
function mmapBase(kernel: Kernel, task: Task, request: MemoryRequest): number {
  const random = request.randomize && kernel.process.randomizeVaSpace > 0;
  const pad = STACK_GUARD + (random ? STACK_RANDOM_PAGES * PAGE : 0);
  const limit = rlimitOf(task.process, RLIMIT.STACK);
  const gap = Math.min(Math.max(limit + pad, STACK_GAP_MIN), Math.floor(USER_END / 6) * 5);
  return pageEnd(USER_END - gap - (random ? randomBelow(kernel.random, MAP_RANDOM_PAGES) * PAGE : 0));
}

interface Placed {
  readonly bias: number;
}

function mapProgram(
  kernel: Kernel,
  task: Task,
  mm: Mm,
  program: Program,
  request: MemoryRequest,
): Placed | Failure {
  const { header, loads, loader } = program;
  const bias = header.kind === 'fixed' ? 0 : programBias(kernel, mm, loads, loader !== null, request);
  if (failed(bias)) return bias;
  const end = mapSegments(kernel, task, mm, program.file, loads, bias);
  if (failed(end)) return end;
  noteCodeAndData(mm, loads, bias);
  mm.brk = pageEnd(end);
  if (header.kind === 'relocatable' && loader === null) mm.brk = PROGRAM_BASE;
  if (request.randomize && kernel.process.randomizeVaSpace > 1) {
    mm.brk += Math.floor(randomBelow(kernel.random, HEAP_RANDOM_BYTES) / PAGE) * PAGE;
  }
  mm.startBrk = mm.brk;
  return { bias };
}

/** How far a relocatable program is moved. One without a loader (static PIE, ld.so itself) goes where maps go. */
function programBias(
  kernel: Kernel,
  mm: Mm,
  loads: readonly Segment[],
  hasLoader: boolean,
  request: MemoryRequest,
): number | Failure {
  const first = loads[0];
  if (first === undefined) return 0;
  const size = totalMappingSize(loads);
  if (size === 0 || size >= USER_END) return EINVAL;
  let base: number | Failure = PROGRAM_BASE;
  if (hasLoader) {
    base += randomPages(kernel, request, MAP_RANDOM_PAGES);
    const alignment = maximumAlignment(loads);
    base -= base % alignment;
  } else {
    base = findGap(mm, size);
  }
  return failed(base) ? base : pageStart(base) - pageStart(first.vaddr);
}

function mapLoader(
  kernel: Kernel,
  task: Task,
  mm: Mm,
  loader: Image,
): { readonly entry: number; readonly base: number } | Failure {
  const { header, loads, file } = loader;
  const first = loads[0];
  if (first === undefined) return EINVAL;
  const size = totalMappingSize(loads);
  if (size === 0 || size >= USER_END) return EINVAL;
  const gap = header.kind === 'fixed' ? pageStart(first.vaddr) : findGap(mm, size);
  if (failed(gap)) return gap;
  const bias = gap - pageStart(first.vaddr);
  const end = mapSegments(kernel, task, mm, file, loads, bias);
  if (failed(end)) return end;
  return { entry: header.entry + bias, base: bias };
}

/** Maps what the segments say; gives the end of the last byte of memory. */
function mapSegments(
  kernel: Kernel,
  task: Task,
  mm: Mm,
  file: OpenFile,
  loads: readonly Segment[],
  bias: number,
): number | Failure {
  let end = 0;
  const last = loads[loads.length - 1];
  for (const [index, segment] of loads.entries()) {
    const start = segment.vaddr + bias;
    const invalid = segment.fileSize > segment.memorySize || segment.memorySize > USER_END || !(start >= 0);
    if (invalid || start >= USER_END || USER_END - segment.memorySize < start) return EINVAL;
    const mapped = mapFilePart(
      kernel,
      task,
      mm,
      file,
      segment,
      start,
      index === 0 ? MAP.fixedNoReplace : MAP.fixed,
    );
    if (failed(mapped)) return mapped;
    const zeroed = mapZeroPart(kernel, task, mm, segment, start);
    // Linux notices a tail that cannot be written only in the segment that ends last.
    if (zeroed === BLOCKED || (failed(zeroed) && (zeroed !== EFAULT || segment === last))) return zeroed;
    end = Math.max(end, start + segment.memorySize);
  }
  return end;
}

/** The pages of a segment that come from the file. Later segments may cover earlier ones, but nothing else. */
function mapFilePart(
  kernel: Kernel,
  task: Task,
  mm: Mm,
  file: OpenFile,
  segment: Segment,
  start: number,
  place: number,
): number | Failure {
  if (segment.fileSize === 0) return 0;
  const protection =
    ((segment.flags & PF.R) === 0 ? 0 : PROT.read) |
    ((segment.flags & PF.W) === 0 ? 0 : PROT.write) |
    ((segment.flags & PF.X) === 0 ? 0 : PROT.execute);
  const offset = segment.offset - (start % PAGE);
  if (offset < 0 || offset % PAGE !== 0 || !Number.isSafeInteger(offset)) return EINVAL;
  const address = pageStart(start);
  return mapMemory(kernel, mm, {
    address, length: start + segment.fileSize - address, protection, flags: MAP.private | place, file, offset,
    limits: task.process.rlimits,
  }); // prettier-ignore
}

/** Memory beyond the file's part: the rest of its last page, then pages of zeroes, which are writable in any case. */
function mapZeroPart(kernel: Kernel, task: Task, mm: Mm, segment: Segment, start: number): number | Failure {
  if (segment.memorySize <= segment.fileSize) return 0;
  const fileEnd = start + segment.fileSize;
  const from = segment.fileSize === 0 ? pageStart(start) : pageEnd(fileEnd);
  const to = pageEnd(start + segment.memorySize);
  const execute = (segment.flags & PF.X) === 0 ? 0 : PROT.execute;
  if (to > from) {
    const mapped = mapMemory(kernel, mm, {
      address: from, length: to - from, protection: PROT.read | PROT.write | execute,
      flags: MAP.private | MAP.anonymous | MAP.fixed, limits: task.process.rlimits,
    }); // prettier-ignore
    if (failed(mapped)) return mapped;
  }
  return segment.fileSize === 0 || from === fileEnd ? 0 : clearMm(kernel, task, mm, fileEnd, from - fileEnd);
}

/** For /proc/PID/stat: the largest extents of code and data. */
function noteCodeAndData(mm: Mm, loads: readonly Segment[], bias: number): void {
  mm.startCode = Infinity;
  for (const { vaddr, fileSize, flags } of loads) {
    const start = vaddr + bias;
    const end = start + fileSize;
    if ((flags & PF.X) !== 0) {
      mm.startCode = Math.min(mm.startCode, start);
      mm.endCode = Math.max(mm.endCode, end);
    }
    mm.startData = Math.max(mm.startData, start);
    mm.endData = Math.max(mm.endData, end);
  }
  if (mm.startCode === Infinity) mm.startCode = 0;
}

/** [vvar] and [vdso]; gives the address of the image. */
function mapVdso(kernel: Kernel, mm: Mm): number | Failure {
  const space = vdsoSpace(kernel);
  if (failed(space)) return space;
  const at = findGap(mm, VDSO_MAP_BYTES);
  if (failed(at)) return at;
  const vvar = mapMemory(kernel, mm, {
    address: at, length: VVAR_BYTES, protection: PROT.read, flags: MAP.private | MAP.fixed, space, offset: 0, name: '[vvar]',
  }); // prettier-ignore
  if (failed(vvar)) return vvar;
  return mapMemory(kernel, mm, {
    address: at + VVAR_BYTES, length: VDSO_MAP_BYTES - VVAR_BYTES, protection: PROT.read | PROT.execute,
    flags: MAP.private | MAP.fixed, space, offset: VVAR_BYTES, name: '[vdso]',
  }); // prettier-ignore
}

interface Addresses {
  readonly vdso: number;
  readonly bias: number;
  readonly base: number;
}

function fillStack(
  kernel: Kernel,
  task: Task,
  mm: Mm,
  program: Program,
  request: MemoryRequest,
  top: number,
  addresses: Addresses,
): number | Failure {
  const random = new Uint8Array(16);
  randomFill(kernel.random, random);
  const stack = buildStack({
    top, fileName: program.execName, argv: program.argv, envp: request.envp, random,
    auxv: auxiliaryVector(kernel, program, request, addresses),
    hwcap2: hasFsgsbase(kernel) ? HWCAP2_FSGSBASE : 0,
    gap: request.randomize ? randomBelow(kernel.random, STACK_SHIFT_BYTES) : 0,
  }); // prettier-ignore
  const length =
    pageEnd(stack.bytes.length) + Math.min(STACK_EXPAND, pageEnd(rlimitOf(task.process, RLIMIT.STACK)));
  const execute = program.executableStack ? PROT.execute : 0;
  const mapped = mapMemory(kernel, mm, {
    address: top - length, length, protection: PROT.read | PROT.write | execute, name: '[stack]',
    flags: MAP.private | MAP.anonymous | MAP.fixedNoReplace | MAP.growsDown | MAP.stack,
  }); // prettier-ignore
  if (failed(mapped)) return mapped;
  const written = writeMm(kernel, task, mm, stack.sp, stack.bytes);
  if (failed(written)) return written;
  mm.startStack = stack.sp;
  mm.argStart = stack.argStart;
  mm.argEnd = stack.argEnd;
  mm.envStart = stack.envStart;
  mm.envEnd = stack.envEnd;
  mm.auxv = stack.auxv;
  return stack.sp;
}

const leafOf = (kernel: Kernel, number: number): CpuidLeaf | undefined =>
  leavesOf(kernel.machine.config.cpuModel).find(({ leaf }) => leaf === number);
const hasFsgsbase = (kernel: Kernel): boolean => ((leafOf(kernel, 7)?.ebx ?? 0) & 1) !== 0;

/** In Linux's order, up to AT_SECURE; the rest points into the stack. AT_HWCAP is CPUID.1:EDX. */
function auxiliaryVector(
  kernel: Kernel,
  program: Program,
  request: MemoryRequest,
  { vdso, bias, base }: Addresses,
): [tag: number, value: number][] {
  const { header, loads } = program;
  const { uid, euid, gid, egid } = request.credentials;
  const headers = programHeadersAddress(header, loads);
  return [
    [AT.SYSINFO_EHDR, vdso], [AT.MINSIGSTKSZ, minimumStack(fpstateBytes(kernel.machine))], [AT.HWCAP, (leafOf(kernel, 1)?.edx ?? 0) >>> 0], [AT.PAGESZ, PAGE], [AT.CLKTCK, 100],
    [AT.PHDR, headers + bias], [AT.PHENT, 56], [AT.PHNUM, header.phnum], [AT.BASE, base], [AT.FLAGS, 0],
    [AT.ENTRY, header.entry + bias], [AT.UID, uid], [AT.EUID, euid], [AT.GID, gid], [AT.EGID, egid],
    [AT.SECURE, request.secure ? 1 : 0],
  ]; // prettier-ignore
}
