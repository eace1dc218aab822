// Runs a static ELF program on a bare machine with a handful of system calls, for tests and benchmarks of the CPU
// without the kernel: identity of pages is arranged here, write() is collected, the rest is what a C start-up needs.

import type { Machine } from '../cpu.ts';
import type { Trap } from '../machine.ts';
import { REGISTER } from '../machine.ts';
import { fillPhysical, load64, readBytes, store64, writeBytes } from '../memory.ts';
import { loadContext, newContext, readRegister, writeRegister } from '../registers.ts';
import type { CompilerSettings, CompilerStatistics } from '../compile/compiler.ts';
import {
  compilerStatistics,
  configureCompiler,
  createMachine,
  run,
  setPageTable,
  translate,
} from '../run.ts';

export interface ProgramResult {
  readonly output: string;
  readonly errors: string;
  /** Exit status, or undefined when a trap ended it. */
  readonly status: number | undefined;
  readonly trap: Trap;
  readonly instructions: number;
  readonly rip: number;
  readonly compiled: Readonly<CompilerStatistics>;
  readonly calls: readonly number[]; // numbers of the system calls that were not known
}

interface Program {
  readonly machine: Machine;
  nextFrame: number;
  brk: number;
  nextMap: number;
  output: string;
  errors: string;
  status: number | undefined;
  readonly unknown: number[];
}

const MEMORY_BYTES = 256 << 20;
const ROOT = 0x1000;
const STACK_TOP = 0x7fff_ffff_0000;
const STACK_PAGES = 256;
const ENOSYS = -38;

function newFrame(program: Program): number {
  const frame = program.nextFrame++;
  fillPhysical(program.machine, frame * 4096, 0, 4096);
  return frame * 4096;
}

function mapPage(program: Program, address: number): number {
  let table = ROOT;
  for (const shift of [39, 30, 21]) {
    const at = table + (Math.floor(address / 2 ** shift) % 512) * 8;
    if (load64(program.machine, at) === 0) store64(program.machine, at, newFrame(program) + 7);
    table = Math.floor(load64(program.machine, at) / 4096) * 4096;
  }
  const at = table + (Math.floor(address / 4096) % 512) * 8;
  if (load64(program.machine, at) === 0) store64(program.machine, at, newFrame(program) + 7);
  return (Math.floor(load64(program.machine, at) / 4096) * 4096) % 2 ** 40;
}

function mapRange(program: Program, from: number, to: number): void {
  for (let page = Math.floor(from / 4096) * 4096; page < to; page += 4096) mapPage(program, page);
}

function copyIn(program: Program, address: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    const at = address + done;
    const part = Math.min(bytes.length - done, 4096 - (at % 4096));
    writeBytes(program.machine, mapPage(program, at) + (at % 4096), bytes.subarray(done, done + part));
    done += part;
  }
}

function textAt(program: Program, address: number, length: number): string {
  let text = '';
  for (let i = 0; i < length; i++) {
    const physical = translate(program.machine, 0, address + i, 'read');
    if (physical < 0) break;
    text += String.fromCharCode(readBytes(program.machine, physical, 1)[0] ?? 0);
  }
  return text;
}

function systemCall(program: Program): number {
  const { machine } = program;
  const argument = (register: 'rdi' | 'rsi' | 'rdx' | 'r10'): number =>
    readRegister(machine, 0, REGISTER[register]);
  const number = readRegister(machine, 0, REGISTER.rax);
  switch (number) {
    case 1: {
      const text = textAt(program, argument('rsi'), argument('rdx'));
      if (argument('rdi') === 2) program.errors += text;
      else program.output += text;
      return text.length;
    }
    case 20: {
      let total = 0;
      for (let i = 0; i < argument('rdx'); i++) {
        const at = translate(machine, 0, argument('rsi') + i * 16, 'read');
        const text = textAt(program, load64(machine, at), load64(machine, at + 8));
        program.output += text;
        total += text.length;
      }
      return total;
    }
    case 9: {
      const length = Math.ceil(argument('rsi') / 4096) * 4096;
      const address = program.nextMap;
      program.nextMap += length;
      mapRange(program, address, address + length);
      return address;
    }
    case 12: {
      const wanted = argument('rdi');
      if (wanted > program.brk) {
        mapRange(program, program.brk, wanted);
        program.brk = wanted;
      }
      return program.brk;
    }
    case 158:
      if (argument('rdi') !== 0x1002) return -22;
      writeRegister(machine, 0, REGISTER.fsBase, argument('rsi'));
      return 0;
    case 60:
    case 231:
      program.status = argument('rdi') & 255;
      return 0;
    case 5: case 10: case 11: case 218: case 273: case 13: case 14: case 228: // fstat mprotect munmap set_tid_address set_robust_list sigaction sigprocmask clock_gettime
      return 0;
    case 16:
      return -25; // ENOTTY
    case 102: case 104: case 107: case 108:
      return 0;
    default:
      program.unknown.push(number);
      return ENOSYS;
  } // prettier-ignore
}

/** Loads and runs to the end, to a trap, or for so many instructions. */
export function runProgram(
  elf: Uint8Array,
  argv: readonly string[],
  instructionsMax: number,
  slice = 1_000_000,
  compiler: Partial<CompilerSettings> = {},
): ProgramResult {
  // prettier-ignore
  const machine = createMachine({ cpuCount: 1, memoryBytes: MEMORY_BYTES, cpuModel: 'v2' });
  configureCompiler(machine, compiler);
  const program: Program = {
    machine, nextFrame: 2, brk: 0, nextMap: 0x7f00_0000_0000, output: '', errors: '', status: undefined, unknown: [],
  }; // prettier-ignore
  const view = new DataView(elf.buffer, elf.byteOffset, elf.byteLength);
  const wide = (at: number): number => Number(view.getBigUint64(at, true));
  let headers = 0;
  const isRelocatable = view.getUint16(16, true) === 3;
  const bias = isRelocatable ? 0x5555_5555_4000 : 0;
  for (let i = 0; i < view.getUint16(56, true); i++) {
    const at = wide(32) + i * 56;
    if (view.getUint32(at, true) !== 1) continue;
    const [offset, address, fileBytes, memoryBytes] = [
      wide(at + 8),
      wide(at + 16) + bias,
      wide(at + 32),
      wide(at + 40),
    ];
    mapRange(program, address, address + memoryBytes);
    copyIn(program, address, elf.subarray(offset, offset + fileBytes));
    program.brk = Math.max(program.brk, Math.ceil((address + memoryBytes) / 4096) * 4096);
    if (wide(32) >= offset && wide(32) < offset + fileBytes) headers = address + wide(32) - offset;
  }
  mapRange(program, STACK_TOP - STACK_PAGES * 4096, STACK_TOP);
  setPageTable(machine, 0, ROOT);
  loadContext(machine, 0, newContext());
  // Strings, then argc, argv, envp, auxv
  let strings = STACK_TOP - 4096;
  const put = (bytes: Uint8Array): number => {
    const at = strings;
    copyIn(program, at, bytes);
    strings += bytes.length;
    return at;
  };
  const encode = (text: string): Uint8Array =>
    Uint8Array.from({ length: text.length + 1 }, (_unused, i) => text.charCodeAt(i) || 0);
  const pointers = argv.map((text) => put(encode(text)));
  const random = put(new Uint8Array(16).fill(7));
  const AUX = { phdr: 3, phent: 4, phnum: 5, pagesz: 6, entry: 9, uid: 11, random: 25, hwcap: 16 };
  const words = [
    argv.length, ...pointers, 0, 0,
    AUX.phdr, headers, AUX.phent, 56, AUX.phnum, view.getUint16(56, true), AUX.pagesz, 4096, AUX.entry, wide(24) + bias,
    AUX.random, random, AUX.hwcap, 0, 0, 0,
  ]; // prettier-ignore
  const stack = STACK_TOP - 8192;
  words.forEach((word, i) => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(word), true);
    copyIn(program, stack + i * 8, bytes);
  });
  writeRegister(machine, 0, REGISTER.rsp, stack);
  writeRegister(machine, 0, REGISTER.rip, wide(24) + bias);

  let instructions = 0;
  let trap = machine.trap;
  while (program.status === undefined && instructions < instructionsMax) {
    trap = run(machine, 0, Math.min(slice, instructionsMax - instructions));
    instructions += trap.executed;
    if (trap.kind === 'budget') continue;
    if (trap.kind !== 'syscall') break;
    writeRegister(machine, 0, REGISTER.rax, systemCall(program));
  }
  return {
    output: program.output,
    errors: program.errors,
    status: program.status,
    trap,
    instructions,
    rip: readRegister(machine, 0, REGISTER.rip),
    compiled: compilerStatistics(machine),
    calls: program.unknown,
  };
}
