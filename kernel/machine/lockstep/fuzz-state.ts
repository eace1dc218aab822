// Where a fuzz case begins: RAM full of page tables that make some sense or none, descriptor tables, and code; registers
// that point there. All from the generator.

import { contextOf } from '../cpu.ts';
import type { Machine } from '../cpu.ts';
import type { FormEntry } from '../decode/opcode-map.ts';
import { CONTEXT, RAM_BASE, SYSTEM } from '../layout.ts';
import { REGISTER } from '../machine.ts';
import { writeRegister } from '../registers.ts';
import type { Chance } from './values.ts';
import { below, bits32, bits64, integer64, oneIn, pick } from './values.ts';

/** RAM of the fuzz machine: 2 MiB. */
export const FUZZ_FRAMES = 512;
const FRAME_WORDS = 1024;
const TABLE_FRAMES = 16;
const CODE_FRAMES = 6;

const MAP_BYTES = { '': [], '0F': [0x0f], '0F38': [0x0f, 0x38], '0F3A': [0x0f, 0x3a] } as const;

/** An instruction of the table, with random operands; nearly always one that can be decoded. */
function instructionBytes(from: Chance, entry: FormEntry, onRegisters: boolean): number[] {
  const { parsed } = entry;
  if (parsed.vex !== undefined) {
    const map = { '': 0, '0F': 1, '0F38': 2, '0F3A': 3 }[parsed.map];
    const prefix = parsed.prefix === '66' ? 1 : parsed.prefix === 'F3' ? 2 : parsed.prefix === 'F2' ? 3 : 0;
    const length = parsed.vex.length ?? below(from, 2);
    const free = below(from, 16);
    const vvvv = entry.can.vvvv || oneIn(from, 50) ? free : 15;
    const wide = parsed.rexW === undefined ? below(from, 2) : parsed.rexW ? 1 : 0;
    const inverted = (below(from, 8) << 5) & 0xe0;
    return [
      0xc4,
      inverted | map,
      (wide << 7) | (vvvv << 3) | (length << 2) | prefix,
      ...tail(from, entry, onRegisters),
    ];
  }
  const bytes: number[] = [];
  if (oneIn(from, 8)) bytes.push(pick(from, [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x64, 0x65, 0x2e]));
  if (parsed.prefix !== undefined && parsed.prefix !== 'none') bytes.push(parseInt(parsed.prefix, 16));
  const rex = (parsed.rexW === true ? 8 : 0) | (oneIn(from, 2) ? below(from, 16) : 0);
  if (rex !== 0) bytes.push(0x40 | rex);
  return [...bytes, ...MAP_BYTES[parsed.map], ...tail(from, entry, onRegisters)];
}

function tail(from: Chance, { parsed, modes }: FormEntry, onRegisters: boolean): number[] {
  const bytes = [parsed.opcode + (parsed.registerInOpcode ? below(from, 8) : 0)];
  if (parsed.modRm !== undefined)
    bytes.push(parsed.modRm[0] + below(from, parsed.modRm[1] - parsed.modRm[0] + 1));
  else if (parsed.hasModRm) {
    const register = parsed.digit ?? below(from, 8);
    const mod =
      modes === 1 || (modes === 3 && onRegisters) ? 3 : modes === 2 ? below(from, 3) : below(from, 4);
    bytes.push((mod << 6) | (register << 3) | below(from, 8));
  }
  // SIB, displacement and immediates: as many bytes as may be wanted, small numbers as a rule
  const more = below(from, 6);
  for (let i = 0; i < more; i++) bytes.push(oneIn(from, 3) ? below(from, 256) : 0);
  return bytes;
}

const SYSTEM_MNEMONIC = /^(mov|.*far|iret|sysret|[ls][gil]dt|ltr|str|lar|lsl|ver[rw]|l[sfg]s|(push|pop) [fg]s|rdmsr|wrmsr|swapgs|clts|lmsw|smsw|invlpg|cli|sti|popf|pushf|in|out|ins|outs|hlt|x[gs]etbv|xsave.*|xrstor.*|rdtscp?|(rd|wr)[fg]sbase)$/; // prettier-ignore
const systemEntries = new WeakMap<Machine, readonly FormEntry[]>();
function systemForms(machine: Machine): readonly FormEntry[] {
  let forms = systemEntries.get(machine);
  if (forms === undefined) {
    forms = machine.code.map.entries.filter(({ instruction, encoding }) =>
      instruction.mnemonic === 'mov'
        ? /^(0F 2|8C|8E)/.test(encoding)
        : SYSTEM_MNEMONIC.test(instruction.mnemonic),
    );
    systemEntries.set(machine, forms);
  }
  return forms;
}

const MSR_NUMBERS = [0x10, 0x1b, 0x8b, 0xfe, 0x1a0, 0x200, 0x20f, 0x250, 0x277, 0x2ff] as const;

/** Sets up registers for a WRMSR, a MOV to CRn, a segment load or a return, then does it. */
function preparedCode(from: Chance): number[] {
  const immediate = (): number[] => [below(from, 256), oneIn(from, 2) ? 0 : below(from, 256), 0, oneIn(from, 4) ? 0x80 : 0]; // prettier-ignore
  const kind = below(from, 5);
  if (kind === 0) {
    const number = oneIn(from, 2)
      ? 0xc000_0080 + pick(from, [0, 1, 2, 3, 4, 0x80, 0x81, 0x82, 0x83])
      : pick<number>(from, MSR_NUMBERS);
    const ecx = [number & 255, (number >>> 8) & 255, (number >>> 16) & 255, number >>> 24];
    const edx = oneIn(from, 2) ? [0x31, 0xd2] : [0xba, ...immediate()];
    return [0xb9, ...ecx, ...edx, 0xb8, ...immediate(), 0x0f, oneIn(from, 3) ? 0x32 : 0x30];
  }
  // Flips one bit of a control register
  if (kind === 1 || kind === 2) {
    const register = pick(from, [0, 3, 4, 2]);
    const modRm = 0xc0 | (register << 3);
    return [
      0x0f,
      0x20,
      modRm,
      0x48,
      0x0f,
      0xba,
      0xf8,
      below(from, register === 3 ? 22 : 33),
      0x0f,
      0x22,
      modRm,
    ];
  }
  // A selector into a segment register
  if (kind === 3) return [0xb8, below(from, 256), 0, 0, 0, 0x8e, 0xc0 | (below(from, 6) << 3)];
  // An IRET frame on the stack: SS RSP flags CS RIP; RIP behind the IRET
  const toKernel = oneIn(from, 2);
  const codeSelector = oneIn(from, 8) ? below(from, 128) : toKernel ? 0x10 : 0x33;
  const stackSelector = oneIn(from, 8) ? below(from, 128) : toKernel ? 0x18 : 0x2b;
  return [
    0x48, 0x89, 0xe0, 0x6a, stackSelector & 127, 0x50, 0x9c, 0x6a, codeSelector & 127,
    0x48, 0x8d, 0x05, 3, 0, 0, 0, 0x50, 0x48, 0xcf,
  ]; // prettier-ignore
}

function fillCode(machine: Machine, from: Chance, frame: number): void {
  const start = RAM_BASE + frame * 4096;
  const { bytes } = machine;
  const forms = machine.code.map.entries;
  const system = systemForms(machine);
  // Code that gets far, mostly about the system, or anything
  const isSystem = oneIn(from, 2);
  let at = 0;
  while (at < 4096) {
    const kind = below(from, 16);
    let piece: readonly number[];
    if (kind === 0 && !isSystem) piece = [below(from, 256), below(from, 256), below(from, 256)];
    else if (kind < (isSystem ? 12 : 3)) piece = preparedCode(from);
    else {
      const among = kind < 6 ? system : forms;
      const entry = among[below(from, among.length)];
      piece = entry === undefined ? [0x90] : instructionBytes(from, entry, isSystem);
    }
    for (const byte of piece) if (at < 4096) bytes[start + at++] = byte;
  }
}

/** Descriptors with plausible attributes, or anything. */
function fillDescriptors(machine: Machine, from: Chance, frame: number): void {
  const start = (RAM_BASE + frame * 4096) >> 2;
  for (let i = 0; i < FRAME_WORDS; i += 2) {
    machine.words32[start + i] = bits32(from) & (oneIn(from, 4) ? -1 : 0xffff);
    const attributes = oneIn(from, 8)
      ? bits32(from)
      : (0x80 | (below(from, 4) << 5) | (oneIn(from, 4) ? 0 : 0x10) | below(from, 16)) << 8;
    machine.words32[start + i + 1] =
      attributes | (oneIn(from, 2) ? 0x20_0000 : 0) | (oneIn(from, 4) ? 0x80_0000 : 0);
  }
}

/** Entries of any level: mostly present, writable, for user code, to some frame. */
function fillTable(machine: Machine, from: Chance, frame: number): void {
  const start = (RAM_BASE + frame * 4096) >> 2;
  const density = below(from, 4);
  for (let i = 0; i < FRAME_WORDS; i += 2) {
    const target = oneIn(from, 3) ? below(from, TABLE_FRAMES) : below(from, FUZZ_FRAMES);
    let low = (target << 12) | 7;
    let high = 0;
    if (oneIn(from, 4)) low ^= 1 << below(from, 9);
    if (oneIn(from, 16)) high |= 0x8000_0000;
    if (oneIn(from, 64)) high |= 1 << below(from, 31);
    if (oneIn(from, 64)) low ^= 1 << below(from, 32);
    if (oneIn(from, 4)) low |= 0x60;
    if (density === 0 && oneIn(from, 2)) low &= ~1;
    if (density === 3 && oneIn(from, 8)) [low, high] = [bits32(from), bits32(from)];
    machine.words32[start + i] = low;
    machine.words32[start + i + 1] = high;
  }
}

/** Fills RAM and gives the physical address of the top table. */
export function fillMemory(machine: Machine, from: Chance): number {
  machine.bytes.fill(0, RAM_BASE, RAM_BASE + FUZZ_FRAMES * 4096);
  for (let frame = 0; frame < TABLE_FRAMES; frame++) fillTable(machine, from, frame);
  for (let frame = TABLE_FRAMES; frame < TABLE_FRAMES + CODE_FRAMES; frame++) fillCode(machine, from, frame);
  for (let frame = 2 * TABLE_FRAMES; frame < 2 * TABLE_FRAMES + 4; frame++)
    fillDescriptors(machine, from, frame);
  const code = RAM_BASE + TABLE_FRAMES * 4096;
  for (let frame = 3 * TABLE_FRAMES; frame + CODE_FRAMES < FUZZ_FRAMES; frame += CODE_FRAMES)
    machine.bytes.copyWithin(RAM_BASE + frame * 4096, code, code + CODE_FRAMES * 4096);
  if (oneIn(from, 4)) return below(from, TABLE_FRAMES) * 4096;
  // Tables that are sound: the first 2 MiB of addresses are the frames, with random rights
  const table = (FUZZ_FRAMES - 4) * 4096;
  const { words32 } = machine;
  const put = (at: number, low: number, high: number): void => {
    words32[(RAM_BASE + at) >> 2] = low;
    words32[(RAM_BASE + at + 4) >> 2] = high;
  };
  put(table, table + 4096 + 7, 0);
  put(table + 511 * 8, table + 4096 + 7, 0);
  put(table + 4096, table + 8192 + 7, 0);
  put(table + 8192, table + 12288 + 7, 0);
  put(table + 8192 + 8, 0x87, 0); // the same as one page of 2 MiB
  for (let i = 0; i < FUZZ_FRAMES; i++) {
    const frame = i < TABLE_FRAMES || oneIn(from, 32) ? below(from, 4 * TABLE_FRAMES) : i;
    const rights = oneIn(from, 16) ? below(from, 8) : 7;
    put(table + 12288 + i * 8, (frame << 12) | rights, oneIn(from, 32) ? 0x8000_0000 : 0);
  }
  return table;
}

/** Into low and high: an address that may be mapped, mostly in the code, at its edges, or anything. */
export function pickAddress(from: Chance): void {
  from.high = 0;
  switch (below(from, 8)) {
    case 0: from.low = below(from, FUZZ_FRAMES) * 4096 + pick(from, [0, 1, 4080, 4095, 4090, 2048]); break;
    case 1: from.low = (3 * TABLE_FRAMES + below(from, FUZZ_FRAMES - 3 * TABLE_FRAMES)) * 4096 + below(from, 4096); break;
    case 2: from.low = 0x20_0000 + below(from, FUZZ_FRAMES * 4096); break;
    case 3: integer64(from); break;
    case 4: bits64(from); from.high = oneIn(from, 2) ? from.high & 0x7fff : from.high | 0xffff_8000; break;
    default: from.low = (TABLE_FRAMES + below(from, CODE_FRAMES)) * 4096 + below(from, 4096);
  }
} // prettier-ignore

/** The same for RIP: nearly always in the code. */
export function pickCodeAddress(from: Chance): void {
  if (oneIn(from, 16)) return pickAddress(from);
  from.low = (TABLE_FRAMES + below(from, CODE_FRAMES)) * 4096 + below(from, 4096);
  from.high = 0;
}

/** General registers, RFLAGS, RIP, vector and x87 state, tables of descriptors, some MSRs. */
export function setRegisters(machine: Machine, from: Chance): void {
  const context = contextOf(0);
  const { view } = machine;
  const put = (offset: number): void => {
    view.setInt32(context + offset, from.low, true);
    view.setInt32(context + offset + 4, from.high, true);
  };
  for (let i = 0; i < 16; i++) {
    if (oneIn(from, 2)) pickAddress(from);
    else integer64(from);
    put(CONTEXT.gpr + i * 8);
  }
  if (oneIn(from, 2)) {
    // A count that ends
    view.setBigUint64(context + CONTEXT.gpr + 8, BigInt(below(from, 5000)), true);
  }
  if (!oneIn(from, 4)) {
    // A stack that is there, away from the code
    const stack = (FUZZ_FRAMES - 8 - below(from, 64)) * 4096 + 8 * below(from, 512);
    view.setBigUint64(context + CONTEXT.gpr + 4 * 8, BigInt(stack), true);
  }
  pickCodeAddress(from);
  put(CONTEXT.rip);
  writeRegister(machine, 0, REGISTER.rflags, 0x202 | (bits32(from) & (oneIn(from, 8) ? 0x24_7fd5 : 0xcd5)));
  for (let at = CONTEXT.xmm; at < CONTEXT.fcw; at += 4) view.setUint32(context + at, bits32(from), true);
  for (let at = CONTEXT.x87; at < CONTEXT.fcw; at += 16) {
    view.setUint16(context + at + 10, 0, true);
    view.setUint32(context + at + 12, 0, true);
  }
  view.setUint16(context + CONTEXT.fsw, bits32(from) & 0x7f7f, true);
  view.setUint16(context + CONTEXT.ftw, bits32(from), true);
  if (oneIn(from, 3)) {
    view.setUint32(context + SYSTEM.gdtLoaded, 1, true);
    from.low = (2 * TABLE_FRAMES + below(from, 4)) * 4096 + below(from, 4096);
    from.high = 0;
    put(SYSTEM.gdtBase);
    view.setUint32(context + SYSTEM.gdtLimit, below(from, 0x1000), true);
    from.low = (2 * TABLE_FRAMES + below(from, 4)) * 4096 + below(from, 4096);
    put(SYSTEM.tssBase);
    view.setUint32(context + SYSTEM.tssLimit, below(from, 0x200), true);
  }
}
