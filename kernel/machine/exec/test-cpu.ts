// A CPU for unit tests of instructions: a machine with flat page tables, code at CODE, a page of data at DATA (writable,
// its neighbours not present), a stack. Machines are kept, as making one costs some milliseconds: bootTestCpu resets
// registers, code and data.

import type { Machine } from '../cpu.ts';
import { contextOf } from '../cpu.ts';
import { CONTEXT } from '../layout.ts';
import type { CpuModel, Trap } from '../machine.ts';
import { REGISTER } from '../machine.ts';
import { fillPhysical, load64Big, readBytes, store64, store64Big, writeBytes } from '../memory.ts';
import { loadContext, newContext, readRegisterBig, writeRegister, writeRegisterBig } from '../registers.ts';
import { createMachine, run, setPageTable } from '../run.ts';
import { MODEL_FEATURES } from '../cpuid.ts';
import { resetSystemState } from '../system-state.ts';

export const TEST = { code: 0x40_0000, data: 0x50_0000, stackTop: 0x60_0000 } as const;
type RegisterName = keyof typeof REGISTER;

export interface TestCpu {
  readonly machine: Machine;
  get(register: RegisterName): bigint;
  set(register: RegisterName, value: bigint | number): void;
  getXmm(number: number): bigint; // 128 bits
  setXmm(number: number, value: bigint): void;
  getYmm(number: number): bigint; // 256 bits
  setYmm(number: number, value: bigint): void;
  /** Any context field of up to 16 bytes, by its offset (layout.ts CONTEXT). */
  getField(offset: number, bytes: number): bigint;
  setField(offset: number, bytes: number, value: bigint): void;
  /** Memory by virtual address (TEST.data …). */
  getBytes(address: number, length: number): Uint8Array;
  setBytes(address: number, bytes: Uint8Array | readonly number[]): void;
  get64(address: number): bigint;
  set64(address: number, value: bigint): void;
  /** Executes n instructions from the code's start or where the last call stopped. */
  run(instructions: number): Trap;
}

// Physical: page tables in the first pages, then code (4 pages), data (2 pages), stack (4 pages), at these frames
const FRAME = { code: 0x100, data: 0x110, stack: 0x120 } as const;
const kept = new Map<CpuModel, Machine>();

function map(machine: Machine, address: number, frame: number, pages: number): void {
  for (let i = 0; i < pages; i++)
    store64(machine, 0x4000 + ((address >> 12) + i) * 8, (frame + i) * 4096 + 7);
}

function bootMachine(cpuModel: CpuModel): Machine {
  const machine = createMachine({ cpuCount: 1, memoryBytes: 64 << 20, cpuModel });
  // PML4 at 4096, PDPT at 8192, PD at 12288, page tables for 8 MiB from 16384
  store64(machine, 0x1000, 0x2007);
  store64(machine, 0x2000, 0x3007);
  for (let i = 0; i < 4; i++) store64(machine, 0x3000 + i * 8, 0x4007 + i * 4096);
  map(machine, TEST.code, FRAME.code, 4);
  map(machine, TEST.data, FRAME.data, 2);
  map(machine, TEST.stackTop - 4 * 4096, FRAME.stack, 4);
  return machine;
}

function physicalOf(address: number): number {
  const page = address & -4096;
  const place =
    page >= TEST.data && page < TEST.data + 8192
      ? FRAME.data * 4096 + (address - TEST.data)
      : page >= TEST.code && page < TEST.code + 16384
        ? FRAME.code * 4096 + (address - TEST.code)
        : FRAME.stack * 4096 + (address - TEST.stackTop + 16384);
  return place;
}

/** Code as bytes or as a hex string ('48 89 C8'). 'kernel' starts at CPL 0, from system registers as after power-on. */
export function bootTestCpu(
  code: readonly number[] | string,
  model: CpuModel = 'v2',
  privilege: 'user' | 'kernel' = 'user',
): TestCpu {
  const machine = kept.get(model) ?? bootMachine(model);
  kept.set(model, machine);
  const bytes = typeof code === 'string' ? code.split(/\s+/).filter(Boolean).map((byte) => parseInt(byte, 16)) : code; // prettier-ignore
  setPageTable(machine, 0, 0x1000);
  fillPhysical(machine, FRAME.code * 4096, 0x90, 16384);
  fillPhysical(machine, FRAME.data * 4096, 0, 8192);
  fillPhysical(machine, FRAME.stack * 4096, 0, 16384);
  writeBytes(machine, FRAME.code * 4096, new Uint8Array(bytes));
  resetSystemState(machine.view, contextOf(0), 0, MODEL_FEATURES[model]);
  loadContext(machine, 0, newContext(privilege));
  writeRegister(machine, 0, REGISTER.rip, TEST.code);
  writeRegister(machine, 0, REGISTER.rsp, TEST.stackTop - 4096);
  const context = contextOf(0);
  const getField = (offset: number, length: number): bigint => {
    let value = 0n;
    for (let i = length - 1; i >= 0; i--)
      value = (value << 8n) | BigInt(machine.bytes[context + offset + i] ?? 0);
    return value;
  };
  const setField = (offset: number, length: number, value: bigint): void => {
    for (let i = 0; i < length; i++)
      machine.bytes[context + offset + i] = Number((value >> BigInt(8 * i)) & 255n);
  };
  return {
    machine,
    get: (register) => readRegisterBig(machine, 0, REGISTER[register]),
    set: (register, value) => writeRegisterBig(machine, 0, REGISTER[register], BigInt(value)),
    getXmm: (number) => getField(CONTEXT.xmm + number * 16, 16),
    setXmm: (number, value) => setField(CONTEXT.xmm + number * 16, 16, value),
    getYmm: (number) =>
      (getField(CONTEXT.ymmHigh + number * 16, 16) << 128n) | getField(CONTEXT.xmm + number * 16, 16),
    setYmm(number, value) {
      setField(CONTEXT.xmm + number * 16, 16, BigInt.asUintN(128, value));
      setField(CONTEXT.ymmHigh + number * 16, 16, value >> 128n);
    },
    getField,
    setField,
    getBytes: (address, length) => readBytes(machine, physicalOf(address), length),
    setBytes: (address, values) => writeBytes(machine, physicalOf(address), new Uint8Array(values)),
    get64: (address) => load64Big(machine, physicalOf(address)),
    set64: (address, value) => store64Big(machine, physicalOf(address), value),
    run: (instructions) => run(machine, 0, instructions),
  };
}
