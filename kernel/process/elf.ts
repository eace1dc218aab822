// Reading ELF64 headers as Linux's loader does (fs/binfmt_elf.c): what is looked at, in which order, and with which errno
// each defect ends. Headers come from hostile files: every number is only compared, never trusted.
import { ELIBBAD, ENOEXEC, type Failure } from '../abi/errno.ts';
import { get16, get32, get64 } from '../lib/bytes.ts';

export const ELF_HEADER_BYTES = 64;
export const PROGRAM_HEADER_BYTES = 56;
/** Linux reads that many bytes of a file before it decides how to run it. */
export const BINPRM_BYTES = 256;
/** Upper bound of the program headers' size. */
const HEADERS_MAX = 65_536;
const PATH_MAX = 4096;

const ET_EXEC = 2;
const ET_DYN = 3;
const EM_X86_64 = 62;

export const PT = { LOAD: 1, DYNAMIC: 2, INTERP: 3, GNU_STACK: 0x6474_e551 } as const;
export const PF = { X: 1, W: 2, R: 4 } as const;

export interface ElfHeader {
  readonly kind: 'fixed' | 'relocatable'; // ET_EXEC, ET_DYN
  readonly entry: number;
  readonly phoff: number;
  readonly phnum: number;
  readonly phentsize: number;
}

export interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly vaddr: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly align: number;
}

export const isElf = (head: Uint8Array): boolean => get32(head, 0) === 0x464c_457f;

/** The header of a program (`bad` = ENOEXEC) or of an interpreter (ELIBBAD). */
export function parseElfHeader(head: Uint8Array, bad: Failure = ENOEXEC): ElfHeader | Failure {
  if (head.length < ELF_HEADER_BYTES || !isElf(head)) return bad;
  const type = get16(head, 16);
  if (bad !== ELIBBAD && type !== ET_EXEC && type !== ET_DYN) return bad;
  if (get16(head, 18) !== EM_X86_64) return bad;
  const header: ElfHeader = {
    kind: type === ET_DYN ? 'relocatable' : 'fixed',
    entry: get64(head, 24),
    phoff: get64(head, 32),
    phentsize: get16(head, 54),
    phnum: get16(head, 56),
  };
  const size = header.phnum * PROGRAM_HEADER_BYTES;
  if (header.phentsize !== PROGRAM_HEADER_BYTES || size === 0 || size > HEADERS_MAX) return bad;
  return header;
}

export const segmentsSize = (header: ElfHeader): number => header.phnum * PROGRAM_HEADER_BYTES;

export function parseSegments(bytes: Uint8Array): Segment[] {
  const segments: Segment[] = [];
  for (let at = 0; at + PROGRAM_HEADER_BYTES <= bytes.length; at += PROGRAM_HEADER_BYTES) {
    segments.push({
      type: get32(bytes, at),
      flags: get32(bytes, at + 4),
      offset: get64(bytes, at + 8),
      vaddr: get64(bytes, at + 16),
      fileSize: get64(bytes, at + 32),
      memorySize: get64(bytes, at + 40),
      align: get64(bytes, at + 48),
    });
  }
  return segments;
}

/** Whether an interpreter's path has a length that Linux accepts. */
export const interpreterSizeValid = (segment: Segment): boolean =>
  segment.fileSize >= 2 && segment.fileSize <= PATH_MAX;

/** The path in a PT_INTERP segment, or ENOEXEC when it does not end in a NUL. */
export function interpreterPath(bytes: Uint8Array): string | Failure {
  if (bytes.length < 2 || bytes[bytes.length - 1] !== 0) return ENOEXEC;
  const end = bytes.indexOf(0);
  return String.fromCharCode(...bytes.subarray(0, end));
}

export const loadSegments = (segments: readonly Segment[]): Segment[] =>
  segments.filter(({ type }) => type === PT.LOAD);

const PAGE = 4096;
export const pageStart = (address: number): number => Math.floor(address / PAGE) * PAGE;
export const pageEnd = (address: number): number => Math.ceil(address / PAGE) * PAGE;

/** From the first page of the first segment to the last byte of the last: how much a relocatable image takes. */
export function totalMappingSize(loads: readonly Segment[]): number {
  const first = loads[0];
  if (first === undefined) return 0;
  const low = Math.min(...loads.map(({ vaddr }) => pageStart(vaddr)));
  const high = Math.max(...loads.map(({ vaddr, memorySize }) => vaddr + memorySize));
  return pageEnd(high - low);
}

/** The largest power of two that a segment asks to be aligned to; at least a page. */
export function maximumAlignment(loads: readonly Segment[]): number {
  let largest = PAGE;
  for (const { align } of loads) {
    const isPower = align > 0 && align <= 2 ** 47 && Number.isInteger(Math.log2(align));
    if (isPower && align > largest) largest = align;
  }
  return largest;
}

/** Where the program headers lie in memory (AT_PHDR), 0 when no segment holds them. */
export function programHeadersAddress(header: ElfHeader, loads: readonly Segment[]): number {
  for (const { offset, fileSize, vaddr } of loads) {
    if (offset <= header.phoff && header.phoff < offset + fileSize) return header.phoff - offset + vaddr;
  }
  return 0;
}

/** Whether the stack must be executable: PT_GNU_STACK says so, or there is none in a file of old. */
export function wantsExecutableStack(segments: readonly Segment[]): boolean {
  const stack = segments.find(({ type }) => type === PT.GNU_STACK);
  return stack !== undefined && (stack.flags & PF.X) !== 0;
}
