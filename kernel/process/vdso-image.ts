// The vDSO: a small ELF shared object that the kernel maps into every program, so that reading a clock costs no system
// call. TSC counts virtual ns from power-on, so CLOCK_MONOTONIC is RDTSC itself; the [vvar] page right below the image
// holds CLOCK_REALTIME's start: seconds at 0, ns at 8 (both 64 bits).
//
//   0x000 ELF header, program headers    0x200 dynamic symbols    0x320 names    0x400 hash, versions
//   0x500 dynamic section                0x5c0 note               0x600 code
//
// The code is written out as bytes, each with its assembly; `k` marks where the distance to [vvar] stands.
import { bytesOfLatin1, put16, put32, put64 } from '../lib/bytes.ts';

export const VDSO_BYTES = 4096;
export const VVAR_BYTES = 4096;
const SYMBOLS = 0x200;
const NAMES = 0x320;
const HASH = 0x400;
const VERSYM = 0x460;
const VERDEF = 0x480;
const DYNAMIC = 0x500;
const NOTE = 0x5c0;
const CODE = 0x600;

/** RAX = ns since power-on; then RAX = seconds, RDX = ns of the second. */
const READ_CLOCK = ['0f31', /* rdtsc */ '48c1e220', /* shl rdx,32 */ '4809d0' /* or rax,rdx */];
const SPLIT_SECONDS = ['31d2', /* xor edx,edx */ 'b900ca9a3b', /* mov ecx,10^9 */ '48f7f1' /* div rcx */];
const ADD_WALL = ['480305k0', /* add rax,[vvar] */ '480315k8' /* add rdx,[vvar+8] */];

interface Routine {
  readonly name: string;
  readonly code: readonly string[];
}

const routines: readonly Routine[] = [
  {
    name: 'clock_gettime', // edi: clock, rsi: struct timespec
    code: [
      '83ff0b', '7769', // cmp edi,11; ja call
      'b8f3080000', '0fa3f8', '735f', // eax = clocks 0 1 4 5 6 7 11; bt eax,edi; jnc call
      ...READ_CLOCK,
      'ba60000000', '0fa3fa', '7313', // coarse clocks 5 6; bt edx,edi; jnc fine
      '4989c0', '31d2', 'b900093d00', '48f7f1', '4929d0', '4c89c0', // rax -= rax % 4 ms
      ...SPLIT_SECONDS, // fine:
      '41b921080000', '410fa3f9', '7319', // wall clocks 0 5 11; bt r9d,edi; jnc store
      ...ADD_WALL,
      '4839ca', '7206', '4829ca', '48ffc0', // if (rdx >= 10^9) rdx -= 10^9, rax++
      '488906', '48895608', '31c0', 'c3', // store: [rsi] = rax; [rsi+8] = rdx; return 0
      'b8e4000000', '0f05', 'c3', // call: system call 228
    ],
  },
  {
    name: 'gettimeofday', // rdi: struct timeval, rsi: struct timezone
    code: [
      ...READ_CLOCK, ...SPLIT_SECONDS, ...ADD_WALL,
      '4839ca', '7206', '4829ca', '48ffc0',
      '4885ff', '7414', '488907', // test rdi,rdi; jz zone; [rdi] = rax
      '4889d0', '31d2', 'b9e8030000', '48f7f1', '48894708', // [rdi+8] = rdx / 1000
      '4885f6', '7407', '48c70600000000', // zone: if (rsi) [rsi] = 0
      '31c0', 'c3',
    ],
  },
  {
    name: 'time', // rdi: time_t
    code: [
      ...READ_CLOCK, ...SPLIT_SECONDS, ...ADD_WALL,
      '4839ca', '7203', '48ffc0', // if (rdx >= 10^9) rax++
      '4885ff', '7403', '488907', 'c3', // if (rdi) [rdi] = rax
    ],
  },
  {
    name: 'clock_getres', // edi: clock, rsi: struct timespec
    code: [
      '83ff0b', '7731', 'b8f3080000', '0fa3f8', '7327', // an unknown clock: call
      '4885f6', '741f', // test rsi,rsi; jz done
      'b901000000', 'ba60000000', '0fa3fa', '7305', 'b900093d00', // ecx = 1, or 4 ms for coarse clocks
      '48c70600000000', '48894e08', '31c0', 'c3', // [rsi] = 0; [rsi+8] = rcx; done: return 0
      'b8e5000000', '0f05', 'c3', // call: system call 229
    ],
  },
  { name: 'getcpu', code: ['b835010000', '0f05', 'c3'] }, // system call 309
]; // prettier-ignore

const VERSION = 'LINUX_2.6';
const SONAME = 'linux-vdso.so.1';

/** The image: one page of ELF. */
export function buildVdso(): Uint8Array {
  const image = new Uint8Array(VDSO_BYTES);
  const names = new Map<string, number>();
  let end = NAMES + 1;
  const nameAt = (text: string): number => {
    const known = names.get(text);
    if (known !== undefined) return known;
    const at = end - NAMES;
    image.set(bytesOfLatin1(text), end);
    end += text.length + 1;
    names.set(text, at);
    return at;
  };
  const symbols = placeRoutines(image).flatMap((placed) => [
    { ...placed, name: `__vdso_${placed.name}`, binding: 0x12 }, // global function
    { ...placed, name: placed.name, binding: 0x22 }, // weak function
  ]);
  symbols.forEach((symbol, i) => {
    const at = SYMBOLS + 24 * (i + 1);
    put32(image, at, nameAt(symbol.name));
    image[at + 4] = symbol.binding;
    put16(image, at + 6, 1); // any section: it is defined
    put64(image, at + 8, symbol.at);
    put64(image, at + 16, symbol.size);
    put16(image, VERSYM + 2 * (i + 1), 2);
  });
  writeHash(image, symbols.length + 1);
  writeVersions(image, nameAt);
  writeDynamic(image, nameAt(SONAME), () => end - NAMES);
  writeHeaders(image);
  return image;
}

function placeRoutines(image: Uint8Array): { name: string; at: number; size: number }[] {
  let at = CODE;
  return routines.map(({ name, code }) => {
    const start = at;
    for (const part of code) at = placeBytes(image, at, part);
    const placed = { name, at: start, size: at - start };
    at = Math.ceil(at / 16) * 16;
    return placed;
  });
}

/** Hex digits; `kN` is the 32-bit distance from the instruction's end to [vvar] + N. */
function placeBytes(image: Uint8Array, from: number, part: string): number {
  const [hex = '', wall] = part.split('k');
  let at = from;
  for (let i = 0; i < hex.length; i += 2) image[at++] = parseInt(hex.slice(i, i + 2), 16);
  if (wall === undefined) return at;
  put32(image, at, Number(wall) - VVAR_BYTES - (at + 4));
  return at + 4;
}

/** DT_HASH with a single bucket: every symbol hangs in one chain. */
function writeHash(image: Uint8Array, symbolCount: number): void {
  put32(image, HASH, 1);
  put32(image, HASH + 4, symbolCount);
  put32(image, HASH + 8, 1);
  for (let i = 1; i < symbolCount; i++) put32(image, HASH + 12 + 4 * i, i + 1 < symbolCount ? i + 1 : 0);
}

/** The hash of DT_HASH and of version names (System V ABI, 5-16). */
export function elfHash(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) {
    hash = ((hash << 4) + name.charCodeAt(i)) >>> 0;
    const high = hash & 0xf000_0000;
    hash = ((hash ^ (high >>> 24)) & ~high) >>> 0;
  }
  return hash;
}

function writeVersions(image: Uint8Array, nameAt: (text: string) => number): void {
  const define = (at: number, flags: number, index: number, name: string, next: number): void => {
    put16(image, at, 1);
    put16(image, at + 2, flags);
    put16(image, at + 4, index);
    put16(image, at + 6, 1);
    put32(image, at + 8, elfHash(name));
    put32(image, at + 12, 20);
    put32(image, at + 16, next);
    put32(image, at + 20, nameAt(name));
  };
  define(VERDEF, 1, 1, SONAME, 28);
  define(VERDEF + 28, 0, 2, VERSION, 0);
}

function writeDynamic(image: Uint8Array, soname: number, namesSize: () => number): void {
  const entries: readonly (readonly [tag: number, value: number])[] = [
    [14, soname], [4, HASH], [5, NAMES], [6, SYMBOLS], [10, namesSize()], [11, 24],
    [0x6fff_fff0, VERSYM], [0x6fff_fffc, VERDEF], [0x6fff_fffd, 2], [0, 0],
  ]; // prettier-ignore
  entries.forEach(([tag, value], i) => {
    put64(image, DYNAMIC + 16 * i, tag);
    put64(image, DYNAMIC + 16 * i + 8, value);
  });
}

function writeHeaders(image: Uint8Array): void {
  image.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  put16(image, 16, 3); // ET_DYN
  put16(image, 18, 62); // EM_X86_64
  put32(image, 20, 1);
  put64(image, 24, CODE);
  put64(image, 32, 64);
  put16(image, 52, 64);
  put16(image, 54, 56);
  put16(image, 56, 3);
  put16(image, 58, 64);
  const segments: readonly (readonly number[])[] = [
    [1, 5, 0, VDSO_BYTES, 4096], // PT_LOAD, read and execute
    [2, 4, DYNAMIC, 160, 8], // PT_DYNAMIC
    [4, 4, NOTE, 24, 4], // PT_NOTE
  ];
  segments.forEach(([type = 0, flags = 0, offset = 0, size = 0, align = 0], i) => {
    const at = 64 + 56 * i;
    put32(image, at, type);
    put32(image, at + 4, flags);
    for (const field of [8, 16, 24]) put64(image, at + field, offset);
    for (const field of [32, 40]) put64(image, at + field, size);
    put64(image, at + 48, align);
  });
  put32(image, NOTE, 6); // name size
  put32(image, NOTE + 4, 4); // version code 6.1.0, as the vDSO of Linux carries it
  image.set(bytesOfLatin1('Linux\0'), NOTE + 12);
  put32(image, NOTE + 20, 0x06_01_00);
}
