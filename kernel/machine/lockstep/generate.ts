// A case for a form: the instruction from encode.ts with the state around it; operands at page edges, misaligned,
// read-only, not mapped, with values from values.ts. The same seed makes the same case.

import type { FormEntry } from '../decode/opcode-map.ts';
import { encode, IMPLICIT_MEMORY, setRegister, targetFor } from './encode.ts';
import type { Case } from './records.ts';
import { CODE_BYTES, newBatch, PAGE, PLACE } from './records.ts';
import type { Chance } from './values.ts';
import { below, bits32, chance, extended, integer64, oneIn, pick, vector } from './values.ts';

/** Not comparable: they depend on the machine, change what the host keeps, or leave the code; approximations. */
const EXCLUDED =
  /^(privileged|.*far.*|(push|pop) [fg]s|l?[defgs]s|cpuid|rdtscp?|syscall|sys.*|hlt|ins?[bwd]?|outs?[bwd]?|in.out|ins.outs|cli|sti|[ls][gil]dt|smsw|lmsw|str|ltr|lar|lsl|ver[rw]|x[gs]etbv|rdpmc|rd(msr|rand|seed|pid|[fg]sbase)|wr(msr|[fg]sbase|pkru)|rdpkru|inv.*|clts|swapgs|iret.*|int|int1|icebp|into|rsm|exception.*|cl(flush|wb|ac).*|stac|xsave.*|xrstor.*|v?rcp[ps]s|v?rsqrt[ps]s|monitor|mwait)$/;
/** Control and debug registers, MSRs, SYSENTER. */
const EXCLUDED_ENCODING = /^0F (2[0-3]|3[0-57]|0[0-27-9])( |$)/;

export function isComparable(entry: FormEntry): boolean {
  if (EXCLUDED.test(entry.instruction.mnemonic) || EXCLUDED_ENCODING.test(entry.encoding)) return false;
  return !entry.operands.some((operand) => operand.kind === 'segment');
}

/** Mostly in the middle; sometimes at the page's end, so that pushes and pops cross it. */
function stackPointer(from: Chance): number {
  if (!oneIn(from, 8)) return PLACE.stack + 2048 + 8 * below(from, 16);
  if (oneIn(from, 6)) return 0x8000_0000_0000 - 8 + below(from, 16); // not canonical, or half so
  return oneIn(from, 2) ? PLACE.stack + below(from, 24) : PLACE.stack + PAGE - below(from, 24);
}

export function randomRegisters(from: Chance, gpr: Int32Array): void {
  for (let i = 0; i < 32; i += 2) {
    integer64(from);
    gpr[i] = from.low;
    gpr[i + 1] = from.high;
  }
}

function initialRegisters(from: Chance, mnemonic: string, gpr: Int32Array): void {
  randomRegisters(from, gpr);
  setRegister(gpr, 4, PLACE.stack + 2048 + 8 * below(from, 16));
  if (mnemonic === 'enter' || mnemonic === 'leave' || !oneIn(from, 2))
    setRegister(gpr, 5, PLACE.stack + 1024);
  if (mnemonic !== 'enter') setRegister(gpr, 4, stackPointer(from));
  if (/^v?pcmpestr/.test(mnemonic) && !oneIn(from, 6)) {
    setRegister(gpr, 0, below(from, 40) - 20);
    setRegister(gpr, 2, below(from, 40) - 20);
  }
  if (/^(div|idiv)$/.test(mnemonic) && !oneIn(from, 3))
    setRegister(gpr, 2, oneIn(from, 2) ? 0 : below(from, 4));
}

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

function put16(fx: Uint8Array, at: number, value: number): void {
  fx[at] = value;
  fx[at + 1] = value >> 8;
}

/** As FXSAVE64: MMX-like or floating-point x87 registers, vectors with upper halves. */
export function vectorState(from: Chance, test: Case, isX87: boolean): void {
  const { fx, ymm } = test;
  fx.fill(0, 0, 160);
  put16(fx, 0, 0x37f);
  if (isX87) fillX87(from, fx);
  else fillMmx(from, fx);
  const control = mxcsr(from);
  put16(fx, 24, control);
  put16(fx, 26, control >> 16);
  for (let i = 0; i < 16; i++) vector(from, fx, 160 + i * 16, 16);
  if (oneIn(from, 4)) fx.copyWithin(160, 176, 192); // equal registers
  for (let at = 0; at < 256; at += 64) vector(from, ymm, at, 64);
}

function fillX87(from: Chance, fx: Uint8Array): void {
  let control = 0x37f;
  if (oneIn(from, 3)) control = 0x40 | 0x3f | (below(from, 4) << 10) | (pick<number>(from, [0, 2, 3]) << 8);
  if (oneIn(from, 12)) control = 0x340 | below(from, 64); // unmasked
  const top = below(from, 8);
  let status = (top << 11) | (oneIn(from, 2) ? 0 : below(from, 64) | (below(from, 8) << 8));
  if ((status & ~control & 0x3f) !== 0) status = top << 11;
  put16(fx, 0, control);
  put16(fx, 2, status);
  fx[4] = oneIn(from, 3) ? below(from, 256) : 255;
  if (oneIn(from, 4)) fx[4] = 255 & ~(1 << ((top + 7) & 7)); // room for one push
  for (let i = 0; i < 8; i++) extended(from, fx, 32 + i * 16);
}

function fillMmx(from: Chance, fx: Uint8Array): void {
  let status = (below(from, 8) << 11) | (below(from, 2) << 8);
  fx[4] = below(from, 256);
  if (oneIn(from, 16)) {
    // An x87 exception waits
    put16(fx, 0, 0x340);
    status |= 0x8081;
  }
  put16(fx, 2, status);
  for (let i = 0; i < 8; i++) {
    vector(from, fx, 32 + i * 16, 8);
    put16(fx, 40 + i * 16, oneIn(from, 2) ? 0xffff : 0x3f00 + below(from, 0x200));
  }
}

export function flagsWord(from: Chance): number {
  return below(from, 2) === 0 ? 0x202 : 0x202 | (bits32(from) & 0x8d5);
}

/** Bytes of the case's own around an address of the data pages, or anywhere there. */
export function fillWindow(from: Chance, test: Case, target: number, length: number): void {
  const inData = target >= PLACE.data - 64 && target < PLACE.data + 2 * PAGE;
  const wanted = inData ? target - PLACE.data - (length >> 2) : below(from, 2 * PAGE - length);
  test.windowOffset = Math.max(0, Math.min(2 * PAGE - length, wanted));
  test.windowLength = length;
  for (let at = 0; at < length; at += 32) vector(from, test.window, at, 32);
  // The operand itself is of one kind
  const at = inData ? target - PLACE.data - test.windowOffset : -1;
  if (at >= 0 && at + 32 <= length) vector(from, test.window, at, 32);
}

/** Mostly in the middle of the first page, sometimes across the two or at the end of the second. */
function codeOffset(from: Chance): number {
  if (!oneIn(from, 8)) return 0x7f0;
  return oneIn(from, 8) ? CODE_BYTES - 1 - below(from, 8) : PAGE - 1 - below(from, 8);
}

const needsLargeWindow = (mnemonic: string): boolean => /^(fx|frstor|fldenv|fnsave|fnstenv)/.test(mnemonic);

/** Lanes of a gather's index: close to the base, some far away. */
function setIndices(from: Chance, test: Case, entry: FormEntry, number: number): void {
  const bytes = entry.can.vectorIndex?.bytes ?? 4;
  for (let lane = 0; lane < 32 / bytes; lane++) {
    const [image, at] = lane * bytes < 16 ? [test.fx, 160 + number * 16] : [test.ymm, number * 16 - 16];
    const value = oneIn(from, 40) ? bits32(from) | 0 : below(from, 64) - 32;
    const view = new DataView(image.buffer, image.byteOffset + at + lane * bytes);
    view.setInt32(0, value, true);
    if (bytes === 8) view.setInt32(4, value < 0 ? -1 : 0, true);
  }
}

export function caseFor(entry: FormEntry, seed: number, test: Case = oneCase()): Case {
  const from = chance(seed);
  bits32(from);
  const { mnemonic } = entry.instruction;
  test.writesCode = false;
  test.codeOffset = codeOffset(from);
  initialRegisters(from, mnemonic, test.gpr);
  const at = PLACE.code + test.codeOffset;
  const encoded = encode(from, entry, { at, gpr: test.gpr, inProgram: false, registersOnly: false });
  test.code.set(encoded.bytes);
  test.codeLength = encoded.bytes.length;
  vectorState(from, test, entry.instruction.feature === 'x87');
  if (encoded.vectorIndex >= 0) setIndices(from, test, entry, encoded.vectorIndex);
  let { target } = encoded;
  if (IMPLICIT_MEMORY.test(mnemonic)) {
    const number = oneIn(from, 2) ? 12 : 14;
    target = (test.gpr[number + 1] ?? 0) * 2 ** 32 + ((test.gpr[number] ?? 0) >>> 0);
    // Equal bytes at both ends keep a comparison going
    if (oneIn(from, 2) && mnemonic.startsWith('cmps')) setRegister(test.gpr, 6, targetFor(from, 8));
  }
  fillWindow(from, test, target, needsLargeWindow(mnemonic) ? 640 : 128);
  if (entry.operands.some(({ size, kind }) => size === 10 && kind === 'memory')) {
    // m80: an 80-bit number or decimal digits
    const place = target - PLACE.data - test.windowOffset;
    if (place >= 0 && place + 10 <= test.windowLength) {
      if (oneIn(from, 3))
        for (let i = 0; i < 10; i++) test.window[place + i] = below(from, 10) * 16 + below(from, 10);
      else extended(from, test.window, place);
    }
  }
  test.rflags = flagsWord(from);
  if (IMPLICIT_MEMORY.test(mnemonic) && oneIn(from, 3)) test.rflags |= 0x400;
  return test;
}

/** A case by itself. */
export function oneCase(): Case {
  const [test] = newBatch(1).cases;
  if (test === undefined) throw new Error('invariant broken: a batch of one has a case');
  return test;
}
