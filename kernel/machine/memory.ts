// Physical memory as the kernel reads and writes it. Every function checks its bounds; a write drops the predecoded code
// of the frames that it touches.

import { assert } from '../lib/assert.ts';
import type { Machine } from './cpu.ts';
import { dropCode } from './decode/code-cache.ts';
import { FRAME_CODE_BASE, RAM_BASE } from './layout.ts';

function place(machine: Machine, physical: number, length: number): number {
  assert(
    physical >= 0 && length >= 0 && physical + length <= machine.config.memoryBytes,
    'a physical address in RAM',
  );
  return physical + RAM_BASE;
}

function writable(machine: Machine, physical: number, length: number): number {
  const host = place(machine, physical, length);
  const codeOfFrame = machine.words16;
  const last = (physical + length - 1) >>> 12;
  for (let frame = physical >>> 12; frame <= last; frame++)
    if (codeOfFrame[(FRAME_CODE_BASE >> 1) + frame] !== 0) dropCode(machine.code, frame);
  return host;
}

export function load8(machine: Machine, physical: number): number {
  return machine.view.getUint8(place(machine, physical, 1));
}
export function load16(machine: Machine, physical: number): number {
  return machine.view.getUint16(place(machine, physical, 2), true);
}
export function load32(machine: Machine, physical: number): number {
  return machine.view.getUint32(place(machine, physical, 4), true);
}
/** Rounded above 2^53. */
export function load64(machine: Machine, physical: number): number {
  const host = place(machine, physical, 8);
  return machine.view.getUint32(host, true) + machine.view.getUint32(host + 4, true) * 2 ** 32;
}
export function load64Big(machine: Machine, physical: number): bigint {
  return machine.view.getBigUint64(place(machine, physical, 8), true);
}

export function store8(machine: Machine, physical: number, value: number): void {
  machine.view.setUint8(writable(machine, physical, 1), value);
}
export function store16(machine: Machine, physical: number, value: number): void {
  machine.view.setUint16(writable(machine, physical, 2), value, true);
}
export function store32(machine: Machine, physical: number, value: number): void {
  machine.view.setUint32(writable(machine, physical, 4), value, true);
}
/** A negative number becomes two's complement. */
export function store64(machine: Machine, physical: number, value: number): void {
  const host = writable(machine, physical, 8);
  machine.view.setUint32(host, value, true);
  machine.view.setUint32(host + 4, Math.floor(value / 2 ** 32), true);
}
export function store64Big(machine: Machine, physical: number, value: bigint): void {
  machine.view.setBigUint64(writable(machine, physical, 8), value, true);
}

/** A copy. */
export function readBytes(machine: Machine, physical: number, length: number): Uint8Array {
  const host = place(machine, physical, length);
  return machine.bytes.slice(host, host + length);
}
/** The memory itself, for reading only: a write through it would not be noticed by the CPUs. */
export function viewBytes(machine: Machine, physical: number, length: number): Uint8Array {
  const host = place(machine, physical, length);
  return machine.bytes.subarray(host, host + length);
}
export function writeBytes(machine: Machine, physical: number, bytes: Uint8Array): void {
  if (bytes.length > 0) machine.bytes.set(bytes, writable(machine, physical, bytes.length));
}
export function copyPhysical(machine: Machine, to: number, from: number, length: number): void {
  if (length === 0) return;
  const source = place(machine, from, length);
  machine.bytes.copyWithin(writable(machine, to, length), source, source + length);
}
export function fillPhysical(machine: Machine, physical: number, value: number, length: number): void {
  if (length === 0) return;
  const host = writable(machine, physical, length);
  machine.bytes.fill(value, host, host + length);
}
