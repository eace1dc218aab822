// Our half of the lockstep test: runs a case in the emulated machine and yields the same record as the real CPU's.

import { contextOf } from '../cpu.ts';
import type { Machine } from '../cpu.ts';
import { CONTEXT } from '../layout.ts';
import { REGISTER } from '../machine.ts';
import { readBytes, store32, store64, writeBytes } from '../memory.ts';
import { loadContext, newContext, readRegister, readRegisterBig, writeRegister, writeRegisterBig } from '../registers.ts'; // prettier-ignore
import { createMachine, run, setPageTable } from '../run.ts';
import type { Case, Result } from './records.ts';
import { CHANGES_MAX, CODE_BYTES, MEMORY_BYTES, PAGE, PLACE, pattern } from './records.ts';

const FRAME_BYTES = 0x10_0000; // our pages start at 1 MiB, two frames apart
const CODE_PHYSICAL = FRAME_BYTES;
const PAGE_PHYSICAL = [0x12_0000, 0x12_4000, 0x12_8000, 0x12_c000] as const; // as MEMORY: data, data, read-only, stack
const INSTRUCTIONS_MAX = 200_000;
const PRESENT_USER = 5;
const WRITABLE = 2;

export interface Emulated {
  readonly machine: Machine;
  readonly pattern: Uint8Array;
  initial: Uint8Array;
}

export function bootEmulated(): Emulated {
  const machine = createMachine({ cpuCount: 1, memoryBytes: 64 << 20, cpuModel: 'v2' });
  const [root, pointers, directory, table] = [0x1000, 0x2000, 0x3000, 0x4000];
  const first = PLACE.code;
  store64(machine, root, pointers + 7);
  store64(machine, pointers + (Math.floor(first / 2 ** 30) & 511) * 8, directory + 7);
  store64(machine, directory + ((first >>> 21) & 511) * 8, table + 7);
  const map = (address: number, physical: number, rights: number): void => {
    const entry = table + ((address >>> 12) & 511) * 8;
    store64(machine, entry, physical + rights);
    const executable = address >= PLACE.code && address < PLACE.code + CODE_BYTES;
    if (!executable) store32(machine, entry + 4, 2 ** 31); // NX
  };
  map(PLACE.code, CODE_PHYSICAL, PRESENT_USER);
  map(PLACE.code + PAGE, CODE_PHYSICAL + PAGE, PRESENT_USER);
  map(PLACE.data, PAGE_PHYSICAL[0], PRESENT_USER | WRITABLE);
  map(PLACE.data + PAGE, PAGE_PHYSICAL[1], PRESENT_USER | WRITABLE);
  map(PLACE.readOnly, PAGE_PHYSICAL[2], PRESENT_USER);
  map(PLACE.stack, PAGE_PHYSICAL[3], PRESENT_USER | WRITABLE);
  setPageTable(machine, 0, root);
  const emulated = { machine, pattern: pattern(), initial: new Uint8Array(MEMORY_BYTES) };
  writeBytes(machine, PAGE_PHYSICAL[2], emulated.pattern.subarray(2 * PAGE, 3 * PAGE));
  return emulated;
}

/** FXSAVE numbers ST(i) from TOP and keeps one tag bit each; a context has physical registers and two bits. */
function loadFx(machine: Machine, fx: Uint8Array): void {
  const context = contextOf(0);
  const { bytes, view } = machine;
  const from = new DataView(fx.buffer, fx.byteOffset, fx.byteLength);
  const fsw = from.getUint16(2, true);
  const top = (fsw >> 11) & 7;
  view.setUint16(context + CONTEXT.fcw, from.getUint16(0, true), true);
  view.setUint16(context + CONTEXT.fsw, fsw, true);
  view.setUint16(context + CONTEXT.fop, from.getUint16(6, true), true);
  view.setBigUint64(context + CONTEXT.fip, from.getBigUint64(8, true), true);
  view.setBigUint64(context + CONTEXT.fdp, from.getBigUint64(16, true), true);
  view.setUint32(context + CONTEXT.mxcsr, from.getUint32(24, true), true);
  const present = fx[4] ?? 0;
  let tags = 0;
  for (let i = 0; i < 8; i++) {
    const physical = (top + i) & 7;
    bytes.set(fx.subarray(32 + i * 16, 42 + i * 16), context + CONTEXT.x87 + physical * 16);
    const significand = from.getBigUint64(32 + i * 16, true);
    const exponent = from.getUint16(40 + i * 16, true) & 0x7fff;
    const zero = exponent === 0 && significand === 0n;
    const normal = exponent !== 0 && exponent !== 0x7fff && significand >> 63n === 1n;
    const tag = ((present >> physical) & 1) === 0 ? 3 : zero ? 1 : normal ? 0 : 2;
    tags |= tag << (physical * 2);
  }
  view.setUint16(context + CONTEXT.ftw, tags, true);
  bytes.set(fx.subarray(160, 416), context + CONTEXT.xmm);
}

function storeFx(machine: Machine): Uint8Array {
  const context = contextOf(0);
  const { bytes, view } = machine;
  const fx = new Uint8Array(512);
  const to = new DataView(fx.buffer);
  const fsw = view.getUint16(context + CONTEXT.fsw, true);
  const top = (fsw >> 11) & 7;
  to.setUint16(0, view.getUint16(context + CONTEXT.fcw, true), true);
  to.setUint16(2, fsw, true);
  to.setUint16(6, view.getUint16(context + CONTEXT.fop, true), true);
  to.setBigUint64(8, view.getBigUint64(context + CONTEXT.fip, true), true);
  to.setBigUint64(16, view.getBigUint64(context + CONTEXT.fdp, true), true);
  to.setUint32(24, view.getUint32(context + CONTEXT.mxcsr, true), true);
  const tags = view.getUint16(context + CONTEXT.ftw, true);
  let present = 0;
  for (let i = 0; i < 8; i++) {
    const at = context + CONTEXT.x87 + ((top + i) & 7) * 16;
    fx.set(bytes.subarray(at, at + 10), 32 + i * 16);
    if (((tags >> (i * 2)) & 3) !== 3) present |= 1 << i;
  }
  fx[4] = present;
  fx.set(bytes.subarray(context + CONTEXT.xmm, context + CONTEXT.xmm + 256), 160);
  return fx;
}

function changesOf(emulated: Emulated): Uint32Array {
  const changes: number[] = [];
  for (const page of [0, 1, 3]) {
    const now = readBytes(emulated.machine, PAGE_PHYSICAL[page] ?? 0, PAGE);
    for (let i = 0; i < PAGE && changes.length < CHANGES_MAX; i++) {
      const value = now[i] ?? 0;
      if (value !== emulated.initial[page * PAGE + i]) changes.push(((page * PAGE + i) << 8) | value);
    }
  }
  return Uint32Array.from(changes);
}

export function runEmulated(emulated: Emulated, test: Case): Result {
  const { machine } = emulated;
  const code = new Uint8Array(CODE_BYTES).fill(0xcc);
  code.set(test.code, test.codeOffset);
  writeBytes(machine, CODE_PHYSICAL, code);
  emulated.initial.set(emulated.pattern);
  emulated.initial.set(test.window, test.windowOffset);
  for (const page of [0, 1, 3])
    writeBytes(machine, PAGE_PHYSICAL[page] ?? 0, emulated.initial.subarray(page * PAGE, (page + 1) * PAGE));
  loadContext(machine, 0, newContext());
  for (let i = 0; i < 16; i++)
    machine.view.setBigUint64(contextOf(0) + CONTEXT.gpr + i * 8, test.gpr[i] ?? 0n, true);
  writeRegister(machine, 0, REGISTER.rip, PLACE.code + test.codeOffset);
  writeRegister(machine, 0, REGISTER.rflags, test.rflags);
  writeRegisterBig(machine, 0, REGISTER.gsBase, BigInt(PLACE.gsBase));
  loadFx(machine, test.fx);
  const trap = run(machine, 0, INSTRUCTIONS_MAX);
  const pageFault = trap.kind === 'exception' && trap.vector === 14;
  return {
    trap: trap.kind === 'exception' ? trap.vector : -1,
    error: trap.kind === 'exception' ? trap.errorCode : 0,
    address: pageFault ? machine.view.getBigUint64(contextOf(0) + CONTEXT.cr2, true) : 0n,
    rip: readRegisterBig(machine, 0, REGISTER.rip),
    gpr: BigUint64Array.from({ length: 16 }, (_unused, i) =>
      machine.view.getBigUint64(contextOf(0) + CONTEXT.gpr + i * 8, true),
    ),
    rflags: readRegister(machine, 0, REGISTER.rflags),
    fx: storeFx(machine),
    changes: changesOf(emulated),
  };
}
