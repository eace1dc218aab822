// One instruction's bytes to its parts: prefixes, REX, opcode, ModRM, SIB, displacement, immediates (SDM 2A chapter 2),
// as 64-bit mode has them. The result is one record, reused, that code-cache.ts turns into a predecoded record and the
// disassembler into text.

import type { Addressing } from '../exec/emit.ts';
import { CONTEXT } from '../layout.ts';
import type { FormEntry, OpcodeMap } from './opcode-map.ts';
import { VEX_MAPS } from './opcode-map.ts';
import { undefinedTail } from './undefined-length.ts';

export interface Decoded {
  entry: FormEntry | undefined; // undefined: #UD
  length: number;
  operandSize: 2 | 4 | 8;
  addressing: Addressing;
  repeat: 'none' | 'rep' | 'repne';
  address32: boolean;
  /** The register that VEX.vvvv names: its context offset divided by 8. */
  vvvv: number;
  reg: number; // context offsets, as RECORD wants them
  rm: number;
  base: number;
  index: number;
  scale: number;
  segment: number;
  displacement: number;
  /** RIP-relative: relative to the instruction's end. */
  ripRelative: boolean;
  immediateLow: number; // two 32-bit halves
  immediateHigh: number;
  relative: number; // branch displacement
}

export function newDecoded(): Decoded {
  return {
    entry: undefined, length: 0, operandSize: 4, addressing: 'none', repeat: 'none', address32: false, vvvv: 0, reg: 0, rm: 0, base: 0,
    index: 0, scale: 0, segment: 0, displacement: 0, ripRelative: false, immediateLow: 0, immediateHigh: 0, relative: 0,
  }; // prettier-ignore
}

export type DecodeStatus = 'ok' | 'truncated' | 'invalid' | 'too long';
const LENGTH_MAX = 15;

/** A byte register: without REX, 4 to 7 are AH CH DH BH. */
function byteRegister(number: number, hasRex: boolean): number {
  return hasRex || number < 4 || number > 7 ? number * 8 : (number - 4) * 8 + 1;
}

function registerOffset(
  file: 'gpr' | 'xmm' | 'ymm' | 'mmx' | undefined,
  number: number,
  size: unknown,
  hasRex: boolean,
): number {
  // prettier-ignore
  if (file === 'xmm' || file === 'ymm') return CONTEXT.xmm + number * 16;
  if (file === 'mmx') return CONTEXT.x87 + (number & 7) * 16;
  return size === 1 ? byteRegister(number, hasRex) : number * 8;
}

function matches(entry: FormEntry, modRm: number, operand16: boolean, repeat: number, rex: number): boolean {
  const { parsed } = entry;
  const rexW = (rex & 8) !== 0;
  // 90 is NOP, but with REX.B it is XCHG R8, RAX
  if (entry.can.nop90 && (rex & 1) !== 0) return false;
  switch (parsed.prefix) {
    case undefined: break;
    case 'none': if (repeat !== 0 || operand16) return false; break;
    case '66': if (repeat !== 0 || !operand16) return false; break;
    case 'F2': if (repeat !== 0xf2) return false; break;
    case 'F3': if (repeat !== 0xf3) return false; break;
  } // prettier-ignore
  if (parsed.rexW !== undefined && parsed.rexW !== rexW) return false;
  if (!parsed.hasModRm) return true;
  if (parsed.modRm !== undefined && (modRm < parsed.modRm[0] || modRm > parsed.modRm[1])) return false;
  if (parsed.digit !== undefined && parsed.digit !== ((modRm >> 3) & 7)) return false;
  return parsed.modRm !== undefined || (entry.modes & (modRm >= 0xc0 || entry.can.anyMod ? 1 : 2)) !== 0;
}

/** `vex`: L in bit 0, inverted vvvv above; it must be 1111 where it names nothing. */
function matchesVex({ parsed, can }: FormEntry, vex: number): boolean {
  const length = parsed.vex?.length;
  if (length !== undefined && length !== (vex & 1)) return false;
  return can.vvvv || vex >> 1 === 15;
}

/** Gathers: a SIB byte, and three different registers (SDM vol. 2, VPGATHERDD). */
function isGather(out: Decoded): boolean {
  const mask = out.vvvv * 8;
  return out.addressing !== 'none' && out.index !== CONTEXT.zero && out.reg !== out.index && out.reg !== mask && mask !== out.index; // prettier-ignore
}

// In parts, so that V8 optimises each as soon as it is hot and drops no other when one meets something new: all
// code of a program that starts goes through here once.

function findEntry(
  candidates: readonly FormEntry[],
  modRm: number,
  operand16: boolean,
  repeat: number,
  rex: number,
  vex: number,
): FormEntry | undefined {
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i];
    if (candidate === undefined || !matches(candidate, modRm, operand16, repeat, rex)) continue;
    if (vex < 0 || matchesVex(candidate, vex)) return candidate;
  }
  return undefined;
}

/** Base, index and scale of a memory operand; `sib` is -1 without a SIB byte. Gives the displacement's length. */
function placeMemory({ can }: FormEntry, modRm: number, sib: number, rex: number, out: Decoded): number {
  const mod = modRm >> 6;
  const rm = modRm & 7;
  const displacementBytes = mod === 1 ? 1 : mod === 2 ? 4 : 0;
  out.addressing = 'base';
  if (sib >= 0) {
    const index = ((sib >> 3) & 7) | ((rex & 2) << 2);
    if (can.vectorIndex !== undefined) {
      out.index = CONTEXT.xmm + index * 16;
      out.scale = sib >> 6;
    } else if (index !== 4) {
      out.index = index * 8;
      out.scale = sib >> 6;
      out.addressing = 'index';
    }
    if ((sib & 7) === 5 && mod === 0) return 4;
    out.base = ((sib & 7) | ((rex & 1) << 3)) * 8;
  } else if (rm === 5 && mod === 0) {
    out.ripRelative = true;
    out.base = CONTEXT.pageBase;
    return 4;
  } else out.base = (rm | ((rex & 1) << 3)) * 8;
  return displacementBytes;
}

function placeRegisters(
  entry: FormEntry,
  regNumber: number,
  rmNumber: number,
  vex: number,
  hasRex: boolean,
  out: Decoded,
): void {
  out.reg = 0;
  out.rm = rmNumber;
  out.vvvv = 0;
  const { operands } = entry;
  for (let i = 0; i < operands.length; i++) {
    const operand = operands[i];
    if (operand === undefined) continue;
    if (operand.kind === 'segment') out.reg = regNumber & 7;
    else if (operand.kind === 'control' || operand.kind === 'debug') out.reg = regNumber;
    else if (operand.field === 'vvvv')
      out.vvvv = registerOffset(operand.register, 15 - (vex >> 1), 8, true) >> 3;
    else if (operand.field === 'reg')
      out.reg = registerOffset(operand.register, regNumber, operand.size, hasRex);
    else if (operand.field === 'rm' && operand.register !== undefined)
      out.rm = registerOffset(operand.register, rmNumber, operand.registerSize ?? operand.size, hasRex);
    else if (operand.kind === 'st') out.rm = rmNumber & 7;
  }
}

/** Gives where the instruction ends, or -1 when the bytes do. */
function readImmediates(
  entry: FormEntry,
  bytes: Uint8Array,
  at: number,
  limit: number,
  out: Decoded,
): number {
  const tokens = entry.parsed.immediates;
  let next = at;
  let immediates = 0;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    let size = 4;
    switch (token) {
      case 'ib': case 'cb': case 'is4': size = 1; break;
      case 'iw': size = 2; break;
      case 'iz': size = out.operandSize === 2 ? 2 : 4; break;
      case 'iv': size = out.operandSize; break;
      case 'iq': size = 8; break;
      case 'moffs': size = out.address32 ? 4 : 8; break;
      default: size = 4; // cz: near branches ignore the operand-size prefix
    } // prettier-ignore
    if (next + size > limit) return -1;
    let low = 0;
    if (size === 1) low = ((bytes[next] ?? 0) << 24) >> 24;
    else if (size === 2) low = (((bytes[next] ?? 0) | ((bytes[next + 1] ?? 0) << 8)) << 16) >> 16;
    else low = readInt32(bytes, next);
    let high = low >> 31;
    if (size === 8) high = readInt32(bytes, next + 4);
    if (token === 'moffs' && size === 4) high = 0;
    next += size;
    if (token === 'is4') {
      // The register's context offset, where RECORD.is4 is
      out.immediateHigh = (CONTEXT.xmm + ((low >> 4) & 15) * 16) << 16;
      continue;
    }
    if (token === 'cb' || token === 'cz') {
      out.relative = low;
      continue;
    }
    const declared = entry.immediateSizes[immediates];
    immediates++;
    const wanted = declared === undefined ? 8 : typeof declared === 'number' ? declared : out.operandSize;
    if (immediates === 2) {
      out.displacement = wanted === 1 ? low & 0xff : low;
      continue;
    }
    if (wanted === 1) low &= 0xff;
    else if (wanted === 2) low &= 0xffff;
    out.immediateLow = low;
    out.immediateHigh = wanted === 8 ? high : 0;
  }
  return next;
}

/** Reads bytes[at…end); the instruction may be at most 15 long. */
export function decode(
  map: OpcodeMap,
  bytes: Uint8Array,
  at: number,
  end: number,
  out: Decoded,
): DecodeStatus {
  const limit = Math.min(end, at + LENGTH_MAX);
  const short: DecodeStatus = limit === at + LENGTH_MAX ? 'too long' : 'truncated';
  let next = at;
  let operand16 = false;
  let address32 = false;
  let lock = false;
  let repeat = 0;
  let segment: number = CONTEXT.zero;
  let rex = 0;
  let opcode = 0;
  out.entry = undefined;
  for (;;) {
    if (next >= limit) return short;
    opcode = bytes[next++] ?? 0;
    if (opcode === 0x66) operand16 = true;
    else if (opcode === 0x67) address32 = true;
    else if (opcode === 0xf0) lock = true;
    else if (opcode === 0xf2 || opcode === 0xf3) repeat = opcode;
    else if (opcode === 0x64) segment = CONTEXT.fsBase;
    else if (opcode === 0x65) segment = CONTEXT.gsBase;
    else if (opcode === 0x2e || opcode === 0x36 || opcode === 0x3e || opcode === 0x26) segment = segment;
    else if ((opcode & 0xf0) === 0x40) {
      rex = opcode;
      continue;
    } else break;
    rex = 0; // REX counts only right before the opcode
  }
  let mapNumber = 0;
  let vex = -1; // L and vvvv of a VEX prefix
  if (opcode === 0xc4 || opcode === 0xc5) {
    const legacy = operand16 || repeat !== 0 || lock || rex !== 0;
    let last = 0; // W vvvv L pp
    rex = 0x40;
    mapNumber = VEX_MAPS + 1;
    if (next >= limit) return short;
    const first = bytes[next++] ?? 0;
    if ((first & 0x80) === 0) rex |= 4;
    if (opcode === 0xc4) {
      if ((first & 0x40) === 0) rex |= 2;
      if ((first & 0x20) === 0) rex |= 1;
      mapNumber = VEX_MAPS + (first & 0x1f);
      if (next >= limit) return short;
      last = bytes[next++] ?? 0;
      if ((last & 0x80) !== 0) rex |= 8;
    } else last = first & 0x7f;
    if (next >= limit) return short;
    opcode = bytes[next++] ?? 0;
    if (legacy || mapNumber <= VEX_MAPS || mapNumber > VEX_MAPS + 3) {
      out.length = next - at;
      return 'invalid';
    }
    vex = (last >> 2) & 0x1f;
    operand16 = (last & 3) === 1;
    repeat = [0, 0, 0xf3, 0xf2][last & 3] ?? 0;
  } else if (opcode === 0x0f) {
    if (next >= limit) return short;
    opcode = bytes[next++] ?? 0;
    mapNumber = 1;
    if (opcode === 0x38 || opcode === 0x3a) {
      mapNumber = opcode === 0x38 ? 2 : 3;
      if (next >= limit) return short;
      opcode = bytes[next++] ?? 0;
    }
  }
  const candidates = map.byOpcode[mapNumber * 256 + opcode] ?? [];
  const hasRex = rex !== 0;
  const rexW = (rex & 8) !== 0;
  let modRm = 0;
  if (map.hasModRm[mapNumber * 256 + opcode] === true) {
    if (next >= limit) return short;
    modRm = bytes[next] ?? 0;
  }
  const entry = findEntry(candidates, modRm, operand16, repeat, rex, vex);
  out.length = next - at;
  if (entry === undefined) {
    const tail = undefinedTail(mapNumber, opcode, candidates, operand16, bytes, next);
    return next + tail > at + LENGTH_MAX ? 'too long' : 'invalid';
  }
  const { parsed, can } = entry;
  const mandatory66 = parsed.prefix === '66';
  let operandSize: 2 | 4 | 8 = rexW ? 8 : operand16 && !mandatory66 ? 2 : 4;
  if (can.default64 && operandSize === 4) operandSize = 8;
  if (can.force64) operandSize = 8;
  if (!entry.usesOperandSize) operandSize = 4;
  out.operandSize = operandSize;
  out.address32 = address32;
  out.repeat = repeat === 0xf3 ? 'rep' : repeat === 0xf2 ? 'repne' : 'none';
  if (can.repeat === 'no') out.repeat = 'none';
  else if (can.repeat === 'rep' && repeat !== 0) out.repeat = 'rep';
  out.segment = segment;
  out.addressing = 'none';
  out.base = CONTEXT.zero;
  out.index = CONTEXT.zero;
  out.scale = 0;
  out.displacement = 0;
  out.ripRelative = false;
  out.immediateLow = 0;
  out.immediateHigh = 0;

  let regNumber = 0;
  let rmNumber = 0;
  let displacementBytes = 0;
  if (parsed.hasModRm) {
    next++;
    regNumber = ((modRm >> 3) & 7) | ((rex & 4) << 1);
    rmNumber = (modRm & 7) | ((rex & 1) << 3);
    const mod = modRm >> 6;
    if (mod !== 3 && !can.anyMod) {
      const hasSib = (modRm & 7) === 4;
      if (hasSib && next >= limit) return short;
      displacementBytes = placeMemory(entry, modRm, hasSib ? (bytes[next++] ?? 0) : -1, rex, out);
      if (address32 || segment !== CONTEXT.zero) out.addressing = 'full';
    }
  } else if (parsed.registerInOpcode) {
    regNumber = (opcode & 7) | ((rex & 1) << 3);
  }
  if (next + displacementBytes > limit) return short;
  if (displacementBytes === 1) out.displacement = ((bytes[next] ?? 0) << 24) >> 24;
  else if (displacementBytes === 4) out.displacement = readInt32(bytes, next);
  next += displacementBytes;
  // POP to memory computes the address with the incremented RSP (SDM 2B POP)
  if (can.popToMemory && out.base === 4 * 8) out.displacement += operandSize;

  placeRegisters(entry, regNumber, rmNumber, vex, hasRex, out);
  if (entry.can.memoryWithoutModRm) out.addressing = segment !== CONTEXT.zero || address32 ? 'full' : 'base';
  next = readImmediates(entry, bytes, next, limit, out);
  if (next < 0) return short;
  out.length = next - at;
  if (lock && !(can.lock && out.addressing !== 'none')) return 'invalid';
  if (can.vectorIndex !== undefined && !isGather(out)) return 'invalid';
  out.entry = entry;
  return 'ok';
}

function readInt32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] ?? 0) |
    ((bytes[at + 1] ?? 0) << 8) |
    ((bytes[at + 2] ?? 0) << 16) |
    ((bytes[at + 3] ?? 0) << 24)
  );
}
