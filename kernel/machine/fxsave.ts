// The FXSAVE image of a CPU's x87 and SSE state (SDM vol. 1, 10.5; layout of the 64-bit form), and the XSAVE area in its
// standard form (13.4), which has it in front, as signal frames hold it. The instructions are isa/sse-state.ts, isa/xsave.ts.

import type { Machine } from './cpu.ts';
import { contextOf } from './cpu.ts';
import { MODEL_FEATURES } from './cpuid.ts';
import { XSAVE, xsaveBytes, xsaveComponents } from './isa/cpuid-leaves.ts';
import { CONTEXT, FCW_DEFAULT, MXCSR_DEFAULT } from './layout.ts';

export const FXSAVE_BYTES = 512;
const AT = {
  fcw: 0,
  fsw: 2,
  abridgedTags: 4,
  fop: 6,
  fip: 8,
  fdp: 16,
  mxcsr: 24,
  mxcsrMask: 28,
  st: 32,
  xmm: 160,
} as const;
/** Bits of MXCSR that exist here: all but bit 17 and above, DAZ included. */
export const MXCSR_MASK = 0xffff;
const EMPTY = 3;

export function saveFxsave(machine: Machine, cpu: number): Uint8Array {
  const image = new Uint8Array(FXSAVE_BYTES);
  const view = new DataView(image.buffer);
  const context = contextOf(cpu);
  const from = machine.view;
  const status = from.getUint16(context + CONTEXT.fsw, true);
  const tags = from.getUint16(context + CONTEXT.ftw, true);
  view.setUint16(AT.fcw, from.getUint16(context + CONTEXT.fcw, true), true);
  view.setUint16(AT.fsw, status, true);
  for (let i = 0; i < 8; i++)
    if (((tags >> (2 * i)) & 3) !== EMPTY) image[AT.abridgedTags] = (image[AT.abridgedTags] ?? 0) | (1 << i);
  view.setUint16(AT.fop, from.getUint16(context + CONTEXT.fop, true), true);
  view.setBigUint64(AT.fip, from.getBigUint64(context + CONTEXT.fip, true), true);
  view.setBigUint64(AT.fdp, from.getBigUint64(context + CONTEXT.fdp, true), true);
  view.setUint32(AT.mxcsr, from.getUint32(context + CONTEXT.mxcsr, true), true);
  view.setUint32(AT.mxcsrMask, MXCSR_MASK, true);
  const top = (status >> 11) & 7;
  for (let i = 0; i < 8; i++) {
    const register = context + CONTEXT.x87 + ((top + i) & 7) * 16;
    image.set(machine.bytes.subarray(register, register + 10), AT.st + i * 16);
  }
  image.set(machine.bytes.subarray(context + CONTEXT.xmm, context + CONTEXT.xmm + 256), AT.xmm);
  return image;
}

/** Full tag of a register by its content: 0 valid, 1 zero, 2 special. */
function tagOf(significand: bigint, signAndExponent: number): number {
  const exponent = signAndExponent & 0x7fff;
  if (exponent === 0) return significand === 0n ? 1 : 2;
  return exponent === 0x7fff || significand >> 63n === 0n ? 2 : 0;
}

/** Reserved MXCSR bits of the image are cleared. */
export function loadFxsave(machine: Machine, cpu: number, image: Uint8Array): void {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const context = contextOf(cpu);
  const to = machine.view;
  const status = view.getUint16(AT.fsw, true);
  to.setUint16(context + CONTEXT.fcw, view.getUint16(AT.fcw, true), true);
  to.setUint16(context + CONTEXT.fsw, status, true);
  to.setUint16(context + CONTEXT.fop, view.getUint16(AT.fop, true) & 0x7ff, true);
  to.setBigUint64(context + CONTEXT.fip, view.getBigUint64(AT.fip, true), true);
  to.setBigUint64(context + CONTEXT.fdp, view.getBigUint64(AT.fdp, true), true);
  to.setUint32(context + CONTEXT.mxcsr, view.getUint32(AT.mxcsr, true) & MXCSR_MASK, true);
  const top = (status >> 11) & 7;
  let tags = 0;
  for (let i = 0; i < 8; i++) {
    const physical = (top + i) & 7;
    const at = AT.st + i * 16;
    machine.bytes.set(image.subarray(at, at + 10), context + CONTEXT.x87 + physical * 16);
    const isUsed = ((view.getUint8(AT.abridgedTags) >> physical) & 1) !== 0;
    const tag = isUsed ? tagOf(view.getBigUint64(at, true), view.getUint16(at + 8, true)) : EMPTY;
    tags |= tag << (2 * physical);
  }
  to.setUint16(context + CONTEXT.ftw, tags, true);
  machine.bytes.set(image.subarray(AT.xmm, AT.xmm + 256), context + CONTEXT.xmm);
}

/** The components of an XSAVE area on this machine: XCR0, as Linux sets it. */
export const machineComponents = (machine: Machine): number =>
  xsaveComponents(MODEL_FEATURES[machine.config.cpuModel]);
/** Bytes of the area, its header included. */
export const xsaveAreaBytes = (machine: Machine): number => xsaveBytes(machineComponents(machine));

/** An area whose components are all in their initial state. */
export function initialXsave(machine: Machine): Uint8Array {
  const image = new Uint8Array(xsaveAreaBytes(machine));
  const view = new DataView(image.buffer);
  view.setUint16(AT.fcw, FCW_DEFAULT, true);
  view.setUint32(AT.mxcsr, MXCSR_DEFAULT, true);
  view.setUint32(AT.mxcsrMask, MXCSR_MASK, true);
  return image;
}

export function saveXsave(machine: Machine, cpu: number): Uint8Array {
  const components = machineComponents(machine);
  const image = new Uint8Array(xsaveBytes(components));
  image.set(saveFxsave(machine, cpu));
  let present = XSAVE.x87 | XSAVE.sse;
  if ((components & XSAVE.avx) !== 0) {
    const at = contextOf(cpu) + CONTEXT.ymmHigh;
    const upper = machine.bytes.subarray(at, at + 256);
    image.set(upper, XSAVE.avxAt);
    if (upper.some((byte) => byte !== 0)) present |= XSAVE.avx;
  }
  image[XSAVE.xstateBv] = present;
  return image;
}

/** Would XRSTOR of the standard form take the header? Eight bytes say which components are there, sixteen are zero. */
export function isXsaveHeader(machine: Machine, image: Uint8Array): boolean {
  const [present = 0, ...others] = image.subarray(XSAVE.xstateBv, XSAVE.reserved + 8);
  return (present & ~machineComponents(machine)) === 0 && others.every((byte) => byte === 0);
}

/** Components that the area does not have get their initial state; reserved MXCSR bits are cleared. */
export function loadXsave(machine: Machine, cpu: number, image: Uint8Array): void {
  const present = image[XSAVE.xstateBv] ?? 0;
  const legacy = image.slice(0, FXSAVE_BYTES);
  const initial = initialXsave(machine);
  if ((present & XSAVE.x87) === 0) {
    legacy.set(initial.subarray(0, AT.mxcsr));
    legacy.fill(0, AT.st, AT.xmm);
  }
  if ((present & XSAVE.sse) === 0) legacy.fill(0, AT.xmm);
  loadFxsave(machine, cpu, legacy);
  const at = contextOf(cpu) + CONTEXT.ymmHigh;
  if ((present & XSAVE.avx) === 0) machine.bytes.fill(0, at, at + 256);
  else machine.bytes.set(image.subarray(XSAVE.avxAt, XSAVE.avxBytes), at);
}
