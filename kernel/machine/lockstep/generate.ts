// Cases for a form of a declared instruction: every addressing form, operand sizes, operands at page edges, misaligned,
// read-only, not mapped, with values from values.ts. The same seed makes the same case.

import type { FormEntry } from '../decode/opcode-map.ts';
import { APPROXIMATE, FLAG, UNDEFINED } from './compare.ts';
import type { Case } from './records.ts';
import { PAGE, PLACE } from './records.ts';
import type { Chance } from './values.ts';
import {
  below,
  bits32,
  bits64,
  chance,
  extendedBytes,
  integer64,
  oneIn,
  pick,
  vectorBytes,
} from './values.ts';

/** Not comparable: they depend on the machine, need privilege, or leave the code. */
const EXCLUDED =
  /^(privileged|far branch|lar.*|cpuid|rdtscp?|syscall|hlt|in|out|ins.?|outs.?|cli|sti|lgdt|lidt|sgdt|sidt|smsw|sldt|str|lmsw|l[ldt]t|xgetbv|rdpmc|wr.*|rdmsr|invlpg|clts|swapgs|iretq?|iret.*|lar|lsl|ver[rw]|sysexit|sysret|int|int1|into|ud[012]|(call|jmp|ret)f|lss|lfs|lgs|rsm|mov_?cr|mov_?dr|exception.*|ltr|lldt|emms_never|clflush.*|rcpps|rcpss|rsqrtps|rsqrtss)$/;

const IMPLICIT_MEMORY = /^(movs|stos|lods|scas|cmps|maskmov|xlat)/;

export function isComparable(entry: FormEntry): boolean {
  if (EXCLUDED.test(entry.instruction.mnemonic)) return false;
  return !entry.operands.some((operand) => operand.kind === 'segment');
}

function memoryBytesOf(entry: FormEntry, operandSize: number): number {
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
function targetFor(from: Chance, bytes: number): bigint {
  const data = PLACE.data;
  switch (below(from, 16)) {
    case 0: return BigInt(data + PAGE - 1 - below(from, Math.max(1, bytes - 1))); // across our two frames
    case 1: return BigInt(data + 2 * PAGE - bytes); // up to the end
    case 2: return BigInt(data + 2 * PAGE - 1 - below(from, Math.max(1, bytes - 1))); // half outside
    case 3: return BigInt(data + 3 * PAGE + below(from, 64)); // outside
    case 4: return oneIn(from, 3) ? 0x8000_0000_0000n + BigInt(below(from, 64)) : BigInt(PLACE.readOnly + 16 * below(from, 64));
    case 5: case 6: case 7: return BigInt(data + below(from, 2 * PAGE - 600));
    default: return BigInt(data + 64 * below(from, (2 * PAGE) / 64 - 10));
  }
} // prettier-ignore

interface Encoding {
  readonly bytes: number[];
  readonly gpr: BigUint64Array;
  readonly target: bigint; // of the memory operand, if there is one
}

function littleEndian(value: bigint | number, bytes: number): number[] {
  const whole = BigInt(value);
  return Array.from({ length: bytes }, (_unused, i) => Number((whole >> BigInt(8 * i)) & 255n));
}

function immediateValue(from: Chance, bytes: number): number[] {
  if (bytes === 1 && oneIn(from, 2)) return [below(from, 256)];
  return littleEndian(BigInt.asUintN(bytes * 8, integer64(from)), bytes);
}

function initialRegisters(from: Chance, mnemonic: string): BigUint64Array {
  const gpr = BigUint64Array.from({ length: 16 }, () => integer64(from));
  gpr[4] = BigInt(PLACE.stack + 2048 + 8 * below(from, 16));
  gpr[5] = BigInt(PLACE.stack + 1024);
  if (mnemonic === 'enter' || mnemonic === 'leave') return gpr;
  if (oneIn(from, 2)) gpr[5] = integer64(from);
  if (IMPLICIT_MEMORY.test(mnemonic)) {
    gpr[6] = targetFor(from, 8);
    gpr[7] = targetFor(from, 16);
    gpr[3] = targetFor(from, 256);
    if (!oneIn(from, 8)) gpr[1] = BigInt(below(from, 40));
  }
  if (/^pcmpestr/.test(mnemonic) && !oneIn(from, 6)) {
    gpr[0] = BigInt.asUintN(64, BigInt(below(from, 40) - 20));
    gpr[2] = BigInt.asUintN(64, BigInt(below(from, 40) - 20));
  }
  if (/^(div|idiv)$/.test(mnemonic) && !oneIn(from, 3)) gpr[2] = oneIn(from, 2) ? 0n : BigInt(below(from, 4));
  return gpr;
}

function encode(from: Chance, entry: FormEntry, codeAt: number, registersOnly: boolean): Encoding {
  const { parsed, options, instruction } = entry;
  const gpr = initialRegisters(from, instruction.mnemonic);
  const rexW = parsed.rexW ?? (entry.usesOperandSize ? oneIn(from, 3) : oneIn(from, 8));
  const prefixes: number[] = [];
  const operand16 =
    entry.usesOperandSize &&
    instruction.mnemonic !== 'enter' &&
    parsed.prefix === undefined &&
    !rexW &&
    oneIn(from, 3);
  if (operand16) prefixes.push(0x66);
  if (parsed.prefix !== undefined && parsed.prefix !== 'none') prefixes.push(parseInt(parsed.prefix, 16));
  if (IMPLICIT_MEMORY.test(instruction.mnemonic)) {
    // The override counts for the source, or where there is but one operand
    const overridden = instruction.mnemonic.startsWith('maskmov')
      ? 7
      : instruction.mnemonic === 'xlat'
        ? 3
        : 6;
    if (oneIn(from, 6)) {
      prefixes.push(0x65);
      gpr[overridden] = BigInt.asUintN(64, (gpr[overridden] ?? 0n) - BigInt(PLACE.gsBase));
    }
    if (oneIn(from, 6)) {
      prefixes.push(0x67);
      // With REP, when nothing is moved, a real CPU clears upper halves or not as it likes
      const repeats = options.includes('rep') || options.includes('repz');
      for (const number of repeats ? [] : [3, 6, 7])
        gpr[number] = BigInt.asUintN(64, (gpr[number] ?? 0n) + (bits64(from) << 32n));
    }
  }
  if ((options.includes('rep') || options.includes('repz')) && !oneIn(from, 3))
    prefixes.push(oneIn(from, 2) ? 0xf3 : 0xf2);
  let operandSize = rexW ? 8 : operand16 ? 2 : 4;
  if ((options.includes('d64') && operandSize === 4) || options.includes('f64')) operandSize = 8;
  if (!entry.usesOperandSize) operandSize = 4;

  let rex = 0;
  const reg = parsed.digit ?? below(from, 8);
  const modRm: number[] = [];
  let target = 0n;
  const tail: number[] = [];
  const immediates = parsed.immediates.flatMap((token) => {
    switch (token) {
      case 'ib':
        return immediateValue(from, 1);
      case 'iw':
        return immediateValue(from, 2);
      case 'iz':
        return immediateValue(from, operandSize === 2 ? 2 : 4);
      case 'iv':
        return immediateValue(from, operandSize);
      case 'iq':
        return immediateValue(from, 8);
      case 'moffs':
        target = targetFor(from, operandSize);
        return littleEndian(target, 8);
      case 'cb':
        return littleEndian(pick(from, [16, -16, 100, -128, 0]), 1);
      case 'cz':
        return littleEndian(pick(from, [16, -16, 1000, -1000, 0]), 4);
      default:
        return littleEndian(integer64(from), 4);
    }
  });
  let ripRelativeAt = -1;
  if (parsed.registerInOpcode && oneIn(from, 2)) rex |= 1;
  if (parsed.hasModRm) {
    const regIsOperand = entry.operands.some((operand) => operand.field === 'reg');
    if (regIsOperand && oneIn(from, 2)) rex |= 4;
    if (parsed.modRm !== undefined) {
      modRm.push(parsed.modRm[0] + below(from, parsed.modRm[1] - parsed.modRm[0] + 1));
    } else if (entry.modes === 1 || (entry.modes === 3 && (registersOnly || oneIn(from, 2)))) {
      if (oneIn(from, 2)) rex |= 1;
      modRm.push(0xc0 | (reg << 3) | below(from, 8));
    } else {
      const bytes = memoryBytesOf(entry, operandSize);
      target = targetFor(from, bytes);
      let wanted = target;
      if (oneIn(from, 8)) {
        prefixes.push(0x65);
        wanted -= BigInt(PLACE.gsBase);
      }
      const address32 = oneIn(from, 12);
      if (address32) prefixes.push(0x67);
      const kind = below(from, 8);
      const displacementKind = below(from, 3);
      const mod = displacementKind;
      const displacement =
        mod === 0 ? 0n : mod === 1 ? BigInt(below(from, 256) - 128) : BigInt(bits32(from) | 0) >> 4n;
      const displacementBytes = littleEndian(displacement, mod === 0 ? 0 : mod === 1 ? 1 : 4);
      const upper = address32 ? bits64(from) & ~0xffff_ffffn : 0n;
      const setBase = (number: number, value: bigint): void => {
        gpr[number] = BigInt.asUintN(64, (address32 ? value & 0xffff_ffffn : value) + upper);
      };
      if (kind === 0) {
        ripRelativeAt = 1;
        modRm.push((reg << 3) | 5);
        tail.push(0, 0, 0, 0);
        target = wanted;
      } else if (kind === 1 && wanted < 0x8000_0000n) {
        modRm.push((reg << 3) | 4, 0x25, ...littleEndian(wanted, 4));
      } else {
        const base = below(from, 16);
        const needsSib = (base & 7) === 4;
        const useMod = (base & 7) === 5 && mod === 0 ? 1 : mod;
        const shown = useMod === mod ? displacementBytes : [0];
        if (base >= 8) rex |= 1;
        if (kind < 5 || needsSib) {
          let index = below(from, 16);
          if (index === base) index = 4; // none
          const scale = below(from, 4);
          if (index >= 8) rex |= 2;
          modRm.push(
            (useMod << 6) | (reg << 3) | 4,
            (scale << 6) | ((index & 7) << 3) | (base & 7),
            ...shown,
          );
          if (index !== 4) gpr[index] = BigInt.asUintN(64, BigInt(below(from, 4096) - 2048));
          const scaled = index === 4 ? 0n : BigInt.asIntN(64, gpr[index] ?? 0n) << BigInt(scale);
          setBase(base, wanted - scaled - displacement);
        } else {
          modRm.push((useMod << 6) | (reg << 3) | (base & 7), ...shown);
          setBase(base, wanted - displacement);
        }
      }
      if (options.includes('lock') && oneIn(from, 3)) prefixes.push(0xf0);
    }
  }
  if (rexW) rex |= 8;
  if (rex !== 0 || oneIn(from, 6)) rex |= 0x40;
  const map = { '': [], '0F': [0x0f], '0F38': [0x0f, 0x38], '0F3A': [0x0f, 0x3a] }[parsed.map];
  const opcode = parsed.opcode + (parsed.registerInOpcode ? reg : 0);
  const bytes = [...prefixes, ...(rex === 0 ? [] : [rex]), ...map, opcode, ...modRm, ...tail];
  const displacementAt = bytes.length - 4;
  bytes.push(...immediates);
  if (ripRelativeAt >= 0) {
    const relative = target - BigInt(PLACE.code + codeAt + bytes.length);
    bytes.splice(displacementAt, 4, ...littleEndian(relative, 4));
  }
  return { bytes, gpr, target };
}

const CODE_OFFSET = 0x7f0;

const MXCSR_STICKY = [0, 0x20, 0x21, 0x3f] as const;
function mxcsr(from: Chance): number {
  const sticky = pick<number>(from, MXCSR_STICKY);
  if (!oneIn(from, 3)) return 0x1f80 | sticky;
  let word = 0x1f80 | sticky | (below(from, 4) << 13);
  if (oneIn(from, 4)) word |= 0x40;
  if (oneIn(from, 4)) word |= 0x8000;
  if (oneIn(from, 6)) word &= ~(below(from, 64) << 7);
  return word;
}

/** As FXSAVE64: MMX-like or floating-point x87 registers, control word at its default, vectors. */
function fxImage(from: Chance, entry: FormEntry | undefined): Uint8Array {
  const fx = new Uint8Array(512);
  const view = new DataView(fx.buffer);
  view.setUint16(0, 0x37f, true);
  if (entry?.instruction.feature === 'x87') fillX87(from, view, fx);
  else fillMmx(from, view, fx);
  view.setUint32(24, mxcsr(from), true);
  for (let i = 0; i < 16; i++) fx.set(vectorBytes(from, 16), 160 + i * 16);
  if (oneIn(from, 4)) fx.copyWithin(160, 176, 192); // equal registers
  return fx;
}

function fillX87(from: Chance, view: DataView, fx: Uint8Array): void {
  if (oneIn(from, 3))
    view.setUint16(0, 0x40 | 0x3f | (below(from, 4) << 10) | (pick(from, [0, 2, 3]) << 8), true);
  if (oneIn(from, 12)) view.setUint16(0, 0x340 | below(from, 64), true); // unmasked
  const top = below(from, 8);
  view.setUint16(
    2,
    (top << 11) | (oneIn(from, 2) ? 0 : (below(from, 128) & 0x3f) | (below(from, 8) << 8)),
    true,
  );
  if ((view.getUint16(2, true) & ~view.getUint16(0, true) & 0x3f) !== 0) view.setUint16(2, top << 11, true);
  fx[4] = oneIn(from, 3) ? below(from, 256) : 255;
  if (oneIn(from, 4)) fx[4] = 255 & ~(1 << ((top + 7) & 7)); // room for one push
  for (let i = 0; i < 8; i++) fx.set(extendedBytes(from), 32 + i * 16);
}

function fillMmx(from: Chance, view: DataView, fx: Uint8Array): void {
  view.setUint16(2, (below(from, 8) << 11) | (below(from, 2) << 8), true);
  fx[4] = below(from, 256);
  if (oneIn(from, 16)) {
    // An x87 exception waits
    view.setUint16(0, 0x340, true);
    view.setUint16(2, view.getUint16(2, true) | 0x8081, true);
  }
  for (let i = 0; i < 8; i++) {
    fx.set(vectorBytes(from, 8), 32 + i * 16);
    view.setUint16(40 + i * 16, oneIn(from, 2) ? 0xffff : 0x3f00 + below(from, 0x200), true);
  }
}

/** The state around encoded instructions: memory at the operand's place, flags, vectors. */
function surround(
  from: Chance,
  code: readonly number[],
  last: Encoding,
  mnemonic: string,
  fx: Uint8Array,
): Case {
  const windowLength = 640;
  const { target, gpr } = last;
  const inData = target >= BigInt(PLACE.data - 64) && target < BigInt(PLACE.data + 2 * PAGE);
  const wanted = inData ? Number(target) - PLACE.data - 64 : below(from, 4096);
  const windowOffset = Math.max(0, Math.min(2 * PAGE - windowLength, wanted));
  const window = new Uint8Array(windowLength);
  for (let at = 0; at < windowLength; at += 32) window.set(vectorBytes(from, 32), at);
  if (inData) {
    // The operand itself is of one kind
    const at = Number(target) - PLACE.data - windowOffset;
    if (at >= 0 && at + 16 <= windowLength) window.set(vectorBytes(from, 16), at);
  }
  const flags = below(from, 2) === 0 ? 0x202 : 0x202 | (bits32(from) & 0x8d5);
  const usesDirection = IMPLICIT_MEMORY.test(mnemonic) && oneIn(from, 3);
  const rflags = usesDirection ? flags | 0x400 : flags;
  return { code: Uint8Array.from(code), codeOffset: CODE_OFFSET, gpr, rflags, fx, windowOffset, window };
}

export function caseFor(entry: FormEntry, seed: number): Case {
  const from = chance(seed);
  bits32(from);
  const encoded = encode(from, entry, CODE_OFFSET, false);
  const test = surround(from, encoded.bytes, encoded, entry.instruction.mnemonic, fxImage(from, entry));
  if (entry.operands.some(({ size, kind }) => size === 10 && kind === 'memory')) {
    // m80: an 80-bit number or decimal digits
    const at = Number(encoded.target) - PLACE.data - test.windowOffset;
    const digits = Uint8Array.from({ length: 10 }, () => below(from, 10) * 16 + below(from, 10));
    if (at >= 0 && at + 10 <= test.window.length)
      test.window.set(oneIn(from, 3) ? digits : extendedBytes(from), at);
  }
  return test;
}

const ALONE =
  /^(push.*|pop.*|enter|leave|call|ret|jmp|loop.*|j.*cxz|int3|lods.*|stos.*|movs[bwdq]?|scas.*|cmps|xlat.*|sahf|ud.*|exception.*|div|idiv|maskmov.*|fx.*|popf|nop|pause|endbr.*)$/;

/** May stand in a sequence: leaves no flag undefined (but A, which only PUSHF and LAHF show) and does not leave the code. */
export function isSequential(entry: FormEntry): boolean {
  const { mnemonic } = entry.instruction;
  if (!isComparable(entry) || ALONE.test(mnemonic) || APPROXIMATE.test(mnemonic)) return false;
  if (((UNDEFINED[mnemonic] ?? 0) & ~FLAG.A) !== 0) return false;
  return entry.operands.every((operand) => operand.kind !== 'relative' && operand.kind !== 'memory');
}

/** Some instructions in a row, all but the last on registers: what one leaves (flags above all) the next one finds. */
export function sequenceFor(
  entries: readonly FormEntry[],
  seed: number,
): { test: Case; text: string } | undefined {
  const from = chance(seed);
  bits32(from);
  const length = 2 + below(from, 5);
  const code: number[] = [];
  const names: string[] = [];
  let last: Encoding | undefined;
  for (let i = 0; i < length; i++) {
    const entry = entries[below(from, entries.length)];
    if (entry === undefined) return undefined;
    const encoded = encode(from, entry, CODE_OFFSET + code.length, i < length - 1);
    if (code.length + encoded.bytes.length > 64) break;
    code.push(...encoded.bytes);
    names.push(entry.instruction.mnemonic);
    last = encoded;
  }
  if (last === undefined) return undefined;
  return { test: surround(from, code, last, '', fxImage(from, undefined)), text: names.join('; ') };
}
