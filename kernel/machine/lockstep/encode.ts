// Encodes one instruction of a declared form: prefixes, REX or VEX, every addressing form, immediates; sets the registers
// that its memory operand needs so that it lies where it should.

import type { FormEntry } from '../decode/opcode-map.ts';
import { PAGE, PLACE } from './records.ts';
import type { Chance } from './values.ts';
import { below, bits32, integer64, oneIn, pick } from './values.ts';

export const IMPLICIT_MEMORY = /^(movs|stos|lods|scas|cmps|maskmov|xlat)/;
/** In programs these registers hold addresses, indices, counters and the stack, and no instruction names them as its operand. */
export const PINNED = { near: 12, index: 13, data: 14, counter: 15 } as const;
const FREE_REGISTERS = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11] as const;

/** What an instruction is encoded for. */
export interface Site {
  /** Linear address of its first byte. */
  at: number;
  readonly gpr: Int32Array; // 16 × low, high
  /** Registers keep what they hold: memory operands use the pinned ones. */
  readonly inProgram: boolean;
  readonly registersOnly: boolean;
}
export interface Encoded {
  readonly bytes: number[];
  readonly target: number; // of the memory operand; -1: none
  /** A gather's index register and the lanes' scale; -1: none. */
  readonly vectorIndex: number;
}

/** A whole number of up to 53 bits and a sign. */
export function setRegister(gpr: Int32Array, number: number, value: number): void {
  const high = Math.floor(value / 2 ** 32);
  gpr[number * 2] = value - high * 2 ** 32;
  gpr[number * 2 + 1] = high;
}

export function memoryBytesOf(entry: FormEntry, operandSize: number): number {
  for (const operand of entry.operands) {
    if (operand.field !== 'rm' && operand.kind !== 'memory') continue;
    if (operand.size === 'v') return operandSize;
    if (operand.size === 'y') return operandSize === 8 ? 8 : 4;
    if (operand.size === 'z') return operandSize === 2 ? 2 : 4;
    return Math.max(1, operand.size);
  }
  return operandSize;
}

/** Where a memory operand of so many bytes may lie. */
export function targetFor(from: Chance, bytes: number): number {
  const { data } = PLACE;
  switch (below(from, 16)) {
    case 0: return data + PAGE - 1 - below(from, Math.max(1, bytes - 1)); // across our two frames
    case 1: return data + 2 * PAGE - bytes; // up to the end
    case 2: return data + 2 * PAGE - 1 - below(from, Math.max(1, bytes - 1)); // half outside
    case 3: return data + 3 * PAGE + below(from, 64); // outside
    case 4: return oneIn(from, 3) ? 0x8000_0000_0000 + below(from, 64) : PLACE.readOnly + 16 * below(from, 64);
    case 5: case 6: case 7: return data + below(from, 2 * PAGE - 600);
    default: return data + 64 * below(from, (2 * PAGE) / 64 - 10);
  }
} // prettier-ignore

/** In a program most operands are there, or it would end at its first instructions. */
function programTarget(from: Chance, bytes: number): number {
  if (oneIn(from, 40)) return targetFor(from, bytes);
  if (bytes >= 16) return PLACE.data + 16 * below(from, (2 * PAGE - 640) / 16);
  return oneIn(from, 8)
    ? PLACE.data + PAGE - below(from, bytes)
    : PLACE.data + 0x780 + below(from, oneIn(from, 4) ? 2048 : 128);
}

function pushLittleEndian(out: number[], value: number, bytes: number): void {
  for (let i = 0; i < Math.min(bytes, 4); i++) out.push((value >>> (8 * i)) & 255);
  if (bytes === 8) {
    const high = Math.floor(value / 2 ** 32);
    for (let i = 0; i < 4; i++) out.push((high >>> (8 * i)) & 255);
  }
}

function pushImmediate(from: Chance, out: number[], bytes: number): void {
  if (bytes === 1 && oneIn(from, 2)) {
    out.push(below(from, 256));
    return;
  }
  integer64(from);
  for (let i = 0; i < Math.min(bytes, 4); i++) out.push((from.low >>> (8 * i)) & 255);
  if (bytes === 8) for (let i = 0; i < 4; i++) out.push((from.high >>> (8 * i)) & 255);
}

/** ModRM.rm of a memory operand: mod and rm, what follows, and the bits of REX. */
interface MemoryForm {
  rex: number;
  readonly modRm: number[];
  /** The last four bytes are a displacement from the next instruction to `wanted`. */
  ripRelative: boolean;
  wanted: number;
  vectorIndex: number;
}

function relativeForm(wanted: number): MemoryForm {
  return { rex: 0, modRm: [5, 0, 0, 0, 0], ripRelative: true, wanted, vectorIndex: -1 };
}

function absoluteForm(wanted: number): MemoryForm {
  const modRm = [4, 0x25];
  pushLittleEndian(modRm, wanted, 4);
  return { rex: 0, modRm, ripRelative: false, wanted, vectorIndex: -1 };
}

/** Off the pinned registers, whose values at the start the caller knows. */
function pinnedForm(from: Chance, wanted: number): MemoryForm {
  const kind = below(from, 5);
  if (kind === 0 || wanted >= 0x8000_0000) return relativeForm(wanted);
  if (kind === 1) return absoluteForm(wanted);
  const fromNear = wanted - PLACE.data - PAGE;
  if (kind === 2 && fromNear >= -128 && fromNear < 128)
    return { rex: 1, modRm: [0x44, 0x24, fromNear & 255], ripRelative: false, wanted, vectorIndex: -1 };
  const indexed = kind === 3;
  const modRm = indexed ? [0x84, (below(from, 4) << 6) | 0x2e] : [0x86];
  pushLittleEndian(modRm, wanted - PLACE.data - 0x800, 4);
  return { rex: indexed ? 3 : 1, modRm, ripRelative: false, wanted, vectorIndex: -1 };
}

/** Any base, index and displacement; sets the registers. */
function freeForm(
  from: Chance,
  entry: FormEntry,
  site: Site,
  wanted: number,
  address32: boolean,
): MemoryForm {
  const vectors = entry.can.vectorIndex;
  const kind = vectors === undefined ? below(from, 8) : 2;
  if (kind === 0) return relativeForm(wanted);
  if (kind === 1 && wanted < 0x8000_0000) return absoluteForm(wanted);
  const mod = below(from, 3);
  let displacement = mod === 0 ? 0 : mod === 1 ? below(from, 256) - 128 : (bits32(from) | 0) >> 4;
  const base = below(from, 16);
  const useMod = (base & 7) === 5 && mod === 0 ? 1 : mod;
  if (mod === 0) displacement = 0;
  const form: MemoryForm = { rex: base >= 8 ? 1 : 0, modRm: [], ripRelative: false, wanted, vectorIndex: -1 };
  let baseValue = wanted - displacement;
  if (kind < 5 || (base & 7) === 4) {
    let index = below(from, 16);
    const scale = below(from, 4);
    if (vectors !== undefined) form.vectorIndex = index;
    else if (index === base) index = 4; // none
    if (index >= 8) form.rex |= 2;
    form.modRm.push((useMod << 6) | 4, (scale << 6) | ((index & 7) << 3) | (base & 7));
    if (index !== 4 && vectors === undefined) {
      const value = below(from, 4096) - 2048;
      setRegister(site.gpr, index, value);
      baseValue -= value * 2 ** scale;
    }
  } else form.modRm.push((useMod << 6) | (base & 7));
  if (useMod !== 0) pushLittleEndian(form.modRm, displacement, useMod === 1 ? 1 : 4);
  setRegister(site.gpr, base, baseValue);
  if (address32) site.gpr[base * 2 + 1] = bits32(from);
  return form;
}

/** Registers of string instructions and the like; prefixes that change them. */
function implicitOperands(from: Chance, entry: FormEntry, gpr: Int32Array, prefixes: number[]): void {
  const { mnemonic } = entry.instruction;
  let source = targetFor(from, 8);
  let table = targetFor(from, 256);
  let destination = targetFor(from, 16);
  if (!oneIn(from, 8)) setRegister(gpr, 1, below(from, 40));
  // The override counts for the source, or where there is but one operand
  if (oneIn(from, 6)) {
    prefixes.push(0x65);
    if (mnemonic.startsWith('maskmov')) destination -= PLACE.gsBase;
    else if (mnemonic === 'xlat') table -= PLACE.gsBase;
    else source -= PLACE.gsBase;
  }
  setRegister(gpr, 3, table);
  setRegister(gpr, 6, source);
  setRegister(gpr, 7, destination);
  if (oneIn(from, 6)) {
    prefixes.push(0x67);
    // With REP, when nothing is moved, a real CPU clears upper halves or not as it likes
    if (entry.can.repeat === 'no')
      for (const number of [3, 6, 7]) gpr[number * 2 + 1] = (gpr[number * 2 + 1] ?? 0) + (bits32(from) | 0);
  }
}

export function encode(from: Chance, entry: FormEntry, site: Site): Encoded {
  const { parsed, can, instruction } = entry;
  const { inProgram, gpr } = site;
  const { vex } = parsed;
  const register = (of: 'gpr' | 'vector', range: number): number =>
    inProgram && of === 'gpr'
      ? (FREE_REGISTERS[below(from, range === 8 ? 7 : FREE_REGISTERS.length)] ?? 0)
      : below(from, range);
  const rexW = parsed.rexW ?? (entry.usesOperandSize ? oneIn(from, 3) : oneIn(from, 8));
  const prefixes: number[] = [];
  const operand16 = entry.usesOperandSize && vex === undefined && instruction.mnemonic !== 'enter' && parsed.prefix === undefined && !rexW && oneIn(from, 3); // prettier-ignore
  if (operand16) prefixes.push(0x66);
  if (vex === undefined && parsed.prefix !== undefined && parsed.prefix !== 'none')
    prefixes.push(parseInt(parsed.prefix, 16));
  if (!inProgram && IMPLICIT_MEMORY.test(instruction.mnemonic)) implicitOperands(from, entry, gpr, prefixes);
  if (can.repeat !== 'no' && !oneIn(from, 3)) prefixes.push(oneIn(from, 2) ? 0xf3 : 0xf2);
  let operandSize = rexW ? 8 : operand16 ? 2 : 4;
  if ((can.default64 && operandSize === 4) || can.force64) operandSize = 8;
  if (!entry.usesOperandSize) operandSize = 4;

  const registerOf = (field: string): 'gpr' | 'vector' =>
    entry.operands.some((operand) => operand.field === field && operand.register === 'gpr')
      ? 'gpr'
      : 'vector';
  let rex = 0;
  let reg = parsed.digit ?? 0;
  let rm = 0;
  let inOpcode = 0;
  let memory: MemoryForm | undefined;
  let target = -1;
  if (parsed.registerInOpcode) {
    const number = register('gpr', 16);
    inOpcode = number & 7;
    if (number >= 8) rex |= 1;
  }
  let modRm = -1;
  if (parsed.hasModRm) {
    const regIsOperand = entry.operands.some((operand) => operand.field === 'reg');
    if (regIsOperand) reg = register(registerOf('reg'), 16);
    else if (parsed.digit === undefined) reg = below(from, 8);
    if (reg >= 8) rex |= 4;
    reg &= 7;
    if (parsed.modRm !== undefined) {
      modRm = parsed.modRm[0] + below(from, parsed.modRm[1] - parsed.modRm[0] + 1);
    } else if (entry.modes === 1 || (entry.modes === 3 && (site.registersOnly || oneIn(from, 2)))) {
      rm = register(registerOf('rm'), 16);
      if (rm >= 8) rex |= 1;
      modRm = 0xc0 | (reg << 3) | (rm & 7);
    } else {
      const bytes = memoryBytesOf(entry, operandSize);
      target = inProgram ? programTarget(from, bytes) : targetFor(from, bytes);
      let wanted = target;
      if (oneIn(from, inProgram ? 20 : 8)) {
        prefixes.push(0x65);
        wanted -= PLACE.gsBase;
      }
      const address32 = !inProgram && oneIn(from, 12);
      if (address32) prefixes.push(0x67);
      memory = inProgram ? pinnedForm(from, wanted) : freeForm(from, entry, site, wanted, address32);
      rex |= memory.rex;
      if (can.lock && oneIn(from, 3)) prefixes.push(0xf0);
    }
  }
  const bytes = prefixes;
  const map = { '': [], '0F': [0x0f], '0F38': [0x0f, 0x38], '0F3A': [0x0f, 0x3a] }[parsed.map];
  if (vex !== undefined) {
    const vvvv = can.vvvv ? register(registerOf('vvvv'), 16) : 0;
    const length = vex.length ?? below(from, 2);
    const last =
      ((15 - vvvv) << 3) | (length << 2) | { none: 0, '66': 1, F3: 2, F2: 3 }[parsed.prefix ?? 'none'];
    if ((rex & 3) === 0 && !rexW && parsed.map === '0F' && !oneIn(from, 4))
      bytes.push(0xc5, ((rex & 4) === 0 ? 0x80 : 0) | last);
    else
      bytes.push(
        0xc4,
        ((~rex & 7) << 5) | { '': 0, '0F': 1, '0F38': 2, '0F3A': 3 }[parsed.map],
        (rexW ? 0x80 : 0) | last,
      );
  } else {
    if (rexW) rex |= 8;
    if (rex !== 0 || oneIn(from, 6)) bytes.push(rex | 0x40);
    bytes.push(...map);
  }
  bytes.push(parsed.opcode + inOpcode);
  let displacementAt = 0;
  if (memory !== undefined) {
    const [first = 0, ...others] = memory.modRm;
    bytes.push(first | (reg << 3), ...others);
    displacementAt = bytes.length - 4;
  } else if (modRm >= 0) bytes.push(modRm);
  for (const token of parsed.immediates) {
    switch (token) {
      case 'ib': pushImmediate(from, bytes, 1); break;
      case 'iw': pushImmediate(from, bytes, 2); break;
      case 'iz': pushImmediate(from, bytes, operandSize === 2 ? 2 : 4); break;
      case 'iv': pushImmediate(from, bytes, operandSize); break;
      case 'iq': pushImmediate(from, bytes, 8); break;
      case 'is4': bytes.push(below(from, 16) << 4); break;
      case 'moffs':
        target = inProgram ? programTarget(from, operandSize) : targetFor(from, operandSize);
        pushLittleEndian(bytes, target, 8);
        break;
      case 'cb': bytes.push(pick(from, [16, 0xf0, 100, 0x80, 0])); break;
      case 'cz': pushLittleEndian(bytes, pick(from, [16, -16, 1000, -1000, 0]), 4); break;
      default: pushImmediate(from, bytes, 4);
    } // prettier-ignore
  }
  if (memory?.ripRelative === true) {
    const relative = memory.wanted - (site.at + bytes.length);
    for (let i = 0; i < 4; i++) bytes[displacementAt + i] = (relative >>> (8 * i)) & 255;
  }
  return { bytes, target, vectorIndex: memory?.vectorIndex ?? -1 };
}
