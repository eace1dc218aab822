// Our half of the lockstep test: runs a case in the emulated machine and yields the same record as the real CPU's. Between
// cases only what changed is put back; data pages are written directly, since they never hold code.

import { contextOf } from '../cpu.ts';
import type { Machine } from '../cpu.ts';
import { CONTEXT, RAM_BASE } from '../layout.ts';
import { REGISTER } from '../machine.ts';
import type { CpuModel, Trap } from '../machine.ts';
import { store32, store64, writeBytes } from '../memory.ts';
import { loadContext, newContext, readRegister, writeRegister } from '../registers.ts';
import { createMachine, run, setPageTable } from '../run.ts';
import type { Case, Result } from './records.ts';
import {
  CHANGES_MAX,
  CODE_BYTES,
  MEMORY_BYTES,
  PAGE,
  PLACE,
  STATE,
  codeBase,
  newResult,
  pattern,
} from './records.ts';

// Our pages, none beside the one that it is beside linearly: data, data, read-only, stack, writable code, its second page
const PAGE_PHYSICAL = [0x12_0000, 0x12_4000, 0x12_8000, 0x12_c000, 0x13_0000, 0x13_4000] as const;
const CODE_PHYSICAL = [0x10_0000, 0x10_8000] as const;
const WRITABLE_CODE = [4, 5] as const; // of PAGE_PHYSICAL
const INSTRUCTIONS_MAX = 2_000_000;
const PRESENT_USER = 5;
const WRITABLE = 2;

export interface Emulated {
  readonly machine: Machine;
  readonly pattern: Uint8Array;
  /** What the compared pages hold before the case; in RAM the same. */
  readonly initial: Uint8Array;
  readonly initialWords: Int32Array;
  readonly fresh: Uint8Array; // a context
  /** The code pages as last written, with the range that is not int3; index 1: the writable ones. */
  readonly code: readonly { readonly image: Uint8Array; from: number; to: number; stale: boolean }[];
}

export function bootEmulated(cpuModel: CpuModel = 'v2'): Emulated {
  const machine = createMachine({ cpuCount: 1, memoryBytes: 64 << 20, cpuModel });
  const [root, pointers, directory, table] = [0x1000, 0x2000, 0x3000, 0x4000];
  const first = PLACE.code;
  store64(machine, root, pointers + 7);
  store64(machine, pointers + (Math.floor(first / 2 ** 30) & 511) * 8, directory + 7);
  store64(machine, directory + ((first >>> 21) & 511) * 8, table + 7);
  const map = (address: number, physical: number, rights: number, executable: boolean): void => {
    const entry = table + ((address >>> 12) & 511) * 8;
    store64(machine, entry, physical + rights);
    if (!executable) store32(machine, entry + 4, 2 ** 31); // NX
  };
  map(PLACE.code, CODE_PHYSICAL[0], PRESENT_USER, true);
  map(PLACE.code + PAGE, CODE_PHYSICAL[1], PRESENT_USER, true);
  map(PLACE.data, PAGE_PHYSICAL[0], PRESENT_USER | WRITABLE, false);
  map(PLACE.data + PAGE, PAGE_PHYSICAL[1], PRESENT_USER | WRITABLE, false);
  map(PLACE.readOnly, PAGE_PHYSICAL[2], PRESENT_USER, false);
  map(PLACE.stack, PAGE_PHYSICAL[3], PRESENT_USER | WRITABLE, false);
  map(PLACE.writableCode, PAGE_PHYSICAL[4], PRESENT_USER | WRITABLE, true);
  map(PLACE.writableCode + PAGE, PAGE_PHYSICAL[5], PRESENT_USER | WRITABLE, true);
  setPageTable(machine, 0, root);
  const initial = new Uint8Array(MEMORY_BYTES + CODE_BYTES).fill(0xcc);
  initial.set(pattern());
  for (let page = 0; page < PAGE_PHYSICAL.length; page++)
    writeBytes(machine, PAGE_PHYSICAL[page] ?? 0, initial.subarray(page * PAGE, (page + 1) * PAGE));
  for (const physical of CODE_PHYSICAL) writeBytes(machine, physical, new Uint8Array(PAGE).fill(0xcc));
  const codePages = (): Emulated['code'][number] => ({
    image: new Uint8Array(CODE_BYTES).fill(0xcc), from: 0, to: 0, stale: false,
  }); // prettier-ignore
  return {
    machine,
    pattern: pattern(),
    initial,
    initialWords: new Int32Array(initial.buffer),
    fresh: newContext(),
    code: [codePages(), codePages()],
  };
}

/** FXSAVE numbers ST(i) from TOP and keeps one tag bit each; a context has physical registers and two bits. */
function loadVectors({ machine }: Emulated, { fx, ymm }: Case): void {
  const context = contextOf(0);
  const { bytes, words32, words16 } = machine;
  const fsw = (fx[2] ?? 0) | ((fx[3] ?? 0) << 8);
  const top = (fsw >> 11) & 7;
  words16[(context + CONTEXT.fcw) >> 1] = (fx[0] ?? 0) | ((fx[1] ?? 0) << 8);
  words16[(context + CONTEXT.fsw) >> 1] = fsw;
  words16[(context + CONTEXT.fop) >> 1] = (fx[6] ?? 0) | ((fx[7] ?? 0) << 8);
  bytes.set(fx.subarray(8, 24), context + CONTEXT.fip);
  words32[(context + CONTEXT.mxcsr) >> 2] = (fx[24] ?? 0) | ((fx[25] ?? 0) << 8) | ((fx[26] ?? 0) << 16);
  const present = fx[4] ?? 0;
  let tags = 0;
  for (let i = 0; i < 8; i++) {
    const physical = (top + i) & 7;
    const at = 32 + i * 16;
    bytes.set(fx.subarray(at, at + 10), context + CONTEXT.x87 + physical * 16);
    const exponent = ((fx[at + 8] ?? 0) | ((fx[at + 9] ?? 0) << 8)) & 0x7fff;
    let significand = 0;
    for (let k = 0; k < 8; k++) significand |= fx[at + k] ?? 0;
    const isNormal = exponent !== 0 && exponent !== 0x7fff && (fx[at + 7] ?? 0) >= 128;
    const tag =
      ((present >> physical) & 1) === 0 ? 3 : exponent === 0 && significand === 0 ? 1 : isNormal ? 0 : 2;
    tags |= tag << (physical * 2);
  }
  words16[(context + CONTEXT.ftw) >> 1] = tags;
  bytes.set(fx.subarray(160, 416), context + CONTEXT.xmm);
  bytes.set(ymm, context + CONTEXT.ymmHigh);
}

function storeVectors({ machine }: Emulated, state: Int32Array): void {
  const context = contextOf(0);
  const { words32, words16 } = machine;
  const word = (at: number): number => words16[(context + at) >> 1] ?? 0;
  const fsw = word(CONTEXT.fsw);
  const top = (fsw >> 11) & 7;
  const tags = word(CONTEXT.ftw);
  let present = 0;
  for (let i = 0; i < 8; i++) {
    const from = (context + CONTEXT.x87 + ((top + i) & 7) * 16) >> 2;
    const to = STATE.fx + 8 + i * 4;
    state[to] = words32[from] ?? 0;
    state[to + 1] = words32[from + 1] ?? 0;
    state[to + 2] = (words32[from + 2] ?? 0) & 0xffff;
    state[to + 3] = 0;
    if (((tags >> (i * 2)) & 3) !== 3) present |= 1 << i;
  }
  state[STATE.fx] = word(CONTEXT.fcw) | (fsw << 16);
  state[STATE.fx + 1] = present | (word(CONTEXT.fop) << 16);
  for (let i = 0; i < 4; i++) state[STATE.fx + 2 + i] = words32[((context + CONTEXT.fip) >> 2) + i] ?? 0;
  state[STATE.fx + 6] = words32[(context + CONTEXT.mxcsr) >> 2] ?? 0;
  for (let i = 0; i < 64; i++) state[STATE.fx + 40 + i] = words32[((context + CONTEXT.xmm) >> 2) + i] ?? 0;
  for (let i = 0; i < 64; i++) state[STATE.ymm + i] = words32[((context + CONTEXT.ymmHigh) >> 2) + i] ?? 0;
}

/** Of a case that does not write its code, the writable code pages are int3 bytes, whatever the one before left there. */
function clearWritableCode({ machine, initial, code: [, pages] }: Emulated): void {
  if (pages === undefined || (pages.from === pages.to && !pages.stale)) return;
  pages.image.fill(0xcc);
  initial.fill(0xcc, MEMORY_BYTES);
  for (const page of WRITABLE_CODE)
    writeBytes(machine, PAGE_PHYSICAL[page], initial.subarray(page * PAGE, (page + 1) * PAGE));
  [pages.from, pages.to, pages.stale] = [0, 0, false];
}

/** Puts the case's code between int3 bytes; what lies behind the two pages is not there. */
function placeCode(emulated: Emulated, test: Case): void {
  if (!test.writesCode) clearWritableCode(emulated);
  const { machine } = emulated;
  const pages = emulated.code[test.writesCode ? 1 : 0];
  if (pages === undefined) return;
  const { image } = pages;
  image.fill(0xcc, pages.from, pages.to);
  const end = Math.min(CODE_BYTES, test.codeOffset + test.codeLength);
  image.set(test.code.subarray(0, end - test.codeOffset), test.codeOffset);
  const from = pages.stale ? 0 : Math.min(pages.from, test.codeOffset);
  const to = pages.stale ? CODE_BYTES : Math.max(pages.to, end);
  for (let page = 0; page < 2; page++) {
    const [start, stop] = [Math.max(from, page * PAGE), Math.min(to, (page + 1) * PAGE)];
    if (start >= stop) continue;
    const physical = (test.writesCode ? PAGE_PHYSICAL[WRITABLE_CODE[page] ?? 4] : CODE_PHYSICAL[page]) ?? 0;
    writeBytes(machine, physical + (start % PAGE), image.subarray(start, stop));
  }
  if (test.writesCode) emulated.initial.set(image, MEMORY_BYTES);
  [pages.from, pages.to, pages.stale] = [test.codeOffset, end, false];
}

function putWindow(emulated: Emulated, test: Case, bytes: Uint8Array): void {
  let at = test.windowOffset;
  const end = at + test.windowLength;
  emulated.initial.set(bytes, at);
  while (at < end) {
    const stop = Math.min(end, (Math.floor(at / PAGE) + 1) * PAGE);
    const part = bytes.subarray(at - test.windowOffset, stop - test.windowOffset);
    emulated.machine.bytes.set(part, RAM_BASE + (PAGE_PHYSICAL[at < PAGE ? 0 : 1] ?? 0) + (at % PAGE));
    at = stop;
  }
}

/** Notes what changed and puts it back (but code, which placeCode does). */
function takeChanges(emulated: Emulated, result: Result): void {
  const { words32 } = emulated.machine;
  const { initialWords } = emulated;
  const { changes } = result;
  let count = 0;
  for (let page = 0; page < PAGE_PHYSICAL.length; page++) {
    if (page === 2) continue;
    const ram = (RAM_BASE + (PAGE_PHYSICAL[page] ?? 0)) >> 2;
    const first = (page * PAGE) >> 2;
    for (let i = 0; i < PAGE >> 2; i++) {
      const before = initialWords[first + i] ?? 0;
      const now = words32[ram + i] ?? 0;
      if (before === now) continue;
      for (let byte = 0; byte < 4; byte++) {
        if ((((before ^ now) >>> (byte * 8)) & 255) === 0 || count === CHANGES_MAX) continue;
        changes[count++] = ((page * PAGE + i * 4 + byte) << 8) | ((now >>> (byte * 8)) & 255);
      }
      if (page < 4) words32[ram + i] = before;
      else if (emulated.code[1] !== undefined) emulated.code[1].stale = true;
    }
  }
  result.changeCount = count;
}

const runToEnd = (machine: Machine): Trap => run(machine, 0, INSTRUCTIONS_MAX);

/** Runs a case so many times from the same state; `check` sees each result, which the next pass overwrites. */
export function runPasses(
  emulated: Emulated,
  test: Case,
  passes: number,
  result: Result,
  check: (result: Result, pass: number) => void,
  go = runToEnd,
): void {
  const { machine } = emulated;
  const { words32 } = machine;
  const context = contextOf(0);
  placeCode(emulated, test);
  putWindow(emulated, test, test.window.subarray(0, test.windowLength));
  const gpr = (context + CONTEXT.gpr) >> 2;
  for (let pass = 0; pass < passes; pass++) {
    if (emulated.code[1]?.stale === true) placeCode(emulated, test);
    loadContext(machine, 0, emulated.fresh);
    for (let i = 0; i < 32; i++) words32[gpr + i] = test.gpr[i] ?? 0;
    writeRegister(machine, 0, REGISTER.rip, codeBase(test) + test.codeOffset);
    writeRegister(machine, 0, REGISTER.rflags, test.rflags);
    words32[(context + CONTEXT.gsBase) >> 2] = PLACE.gsBase;
    loadVectors(emulated, test);
    const trap = go(machine);
    const { state } = result;
    const isException = trap.kind === 'exception';
    state[STATE.trap] = isException ? trap.vector : -1;
    state[STATE.error] = isException ? trap.errorCode : 0;
    const isPageFault = isException && trap.vector === 14;
    for (let i = 0; i < 2; i++) {
      state[STATE.address + i] = isPageFault ? (words32[((context + CONTEXT.cr2) >> 2) + i] ?? 0) : 0;
      state[STATE.rip + i] = words32[((context + CONTEXT.rip) >> 2) + i] ?? 0;
    }
    for (let i = 0; i < 32; i++) state[STATE.gpr + i] = words32[gpr + i] ?? 0;
    state[STATE.rflags] = readRegister(machine, 0, REGISTER.rflags);
    state[STATE.rflags + 1] = 0;
    storeVectors(emulated, state);
    takeChanges(emulated, result);
    result.executed = trap.executed;
    check(result, pass);
  }
  const { windowOffset, windowLength } = test;
  putWindow(emulated, test, emulated.pattern.subarray(windowOffset, windowOffset + windowLength));
}

export function runEmulated(emulated: Emulated, test: Case): Result {
  const result = newResult();
  runPasses(emulated, test, 1, result, () => undefined);
  return result;
}

/** Runs a case one instruction at a time; `visit` gets their addresses. */
export function visitInstructions(emulated: Emulated, test: Case, visit: (address: number) => void): void {
  const step = (machine: Machine): Trap => {
    for (let left = INSTRUCTIONS_MAX; ; left--) {
      visit(readRegister(machine, 0, REGISTER.rip));
      const trap = run(machine, 0, 1);
      if (trap.kind !== 'budget' || left === 0) return trap;
    }
  };
  runPasses(emulated, test, 1, newResult(), () => undefined, step);
}
