// Faults in the middle of things, code that changes, and page tables that change, in both tiers: loops run a few turns, so
// that in the compiler's tier the fault or the change meets compiled code.
import { describe, expect, it } from 'vitest';
import { TEST, bootTestCpu } from '../exec/test-cpu.ts';
import type { TestCpu } from '../exec/test-cpu.ts';
import { configureCompiler, invalidatePage, run } from '../index.ts';
import { readBytes, store64, writeBytes } from '../memory.ts';
import { loadContext, newContext, readRegister, writeRegister } from '../registers.ts';
import { REGISTER, type Machine } from '../index.ts';
import { createMachine, setPageTable } from '../run.ts';
import type { Tier } from './tiers.ts';
import { configureTier } from './tiers.ts';

const DATA_END = TEST.data + 8192;
const STACK_LOW = TEST.stackTop - 16384;

function boot(tier: Tier, code: string, cpuModel?: 'v2' | 'v3'): TestCpu {
  const cpu = cpuModel === undefined ? bootTestCpu(code) : bootTestCpu(code, cpuModel);
  configureTier(cpu.machine, tier);
  return cpu;
}

describe.each<Tier>(['interpreter', 'compiler'])('precise in the %s', (tier) => {
  // name, code, registers before, trap, registers after, RIP's offset
  type Registers = Partial<Record<keyof typeof REGISTER, number>>;
  const cases: [string, string, Registers, object, Registers, number][] = [
    ['a store across into a page that is not there', '48 89 03 48 83 C3 05 48 FF C1 EB F4', { rbx: DATA_END - 51, rcx: 0, rax: -1 },
      { vector: 14, errorCode: 6, address: DATA_END, executed: 36 }, { rbx: DATA_END - 6, rcx: 9 }, 0],
    ['a read-modify-write across', '48 01 03 48 83 C3 05 48 FF C1 EB F4', { rbx: DATA_END - 51, rcx: 0, rax: 1 },
      { vector: 14, errorCode: 6, address: DATA_END, executed: 36 }, { rbx: DATA_END - 6, rcx: 9 }, 0],
    ['a push across', '50 48 FF C1 EB FA', { rsp: STACK_LOW + 4 + 56, rcx: 0, rax: -1 },
      { vector: 14, errorCode: 6, address: STACK_LOW - 4, executed: 21 }, { rsp: STACK_LOW + 4, rcx: 7 }, 0],
    ['a call across', '48 FF C1 E8 F8 FF FF FF', { rsp: STACK_LOW + 4 + 56, rcx: 0 },
      { vector: 14, errorCode: 6, address: STACK_LOW - 4, executed: 15 }, { rsp: STACK_LOW + 4, rcx: 8 }, 3],
    ['a pop across', '58 48 FF C1 EB FA', { rsp: TEST.stackTop - 60, rcx: 0 },
      { vector: 14, errorCode: 4, address: TEST.stackTop, executed: 21 }, { rsp: TEST.stackTop - 4, rcx: 7 }, 0],
    ['REP MOVSB, of which a part is done', 'B9 10 00 00 00 F3 A4 48 FF C2 EB F4', { rdi: DATA_END - 100, rsi: TEST.data, rdx: 0 },
      { vector: 14, errorCode: 6, address: DATA_END, executed: 25 }, { rdi: DATA_END, rsi: TEST.data + 100, rcx: 12, rdx: 6 }, 5],
    ['REP STOSQ across', 'B9 04 00 00 00 F3 48 AB 48 FF C2 EB F3', { rdi: DATA_END - 100, rdx: 0, rax: 7 },
      { vector: 14, errorCode: 6, address: DATA_END, executed: 13 }, { rdi: DATA_END - 4, rcx: 4, rdx: 3 }, 5],
    ['a division by zero in a loop', '31 D2 B8 64 00 00 00 F7 F1 FF C9 EB F3', { rcx: 5 },
      { vector: 0, executed: 27 }, { rcx: 0, rdx: 0, rax: 100 }, 7],
    ['a jump to a page that is not there', '48 FF C1 48 83 F9 05 75 F7 FF E3', { rbx: DATA_END, rcx: 0 },
      { vector: 14, errorCode: 20, address: DATA_END, executed: 16 }, { rcx: 5 }, DATA_END - TEST.code],
  ]; // prettier-ignore
  it.each(cases)('%s', (_name, code, before, trap, after, offset) => {
    const cpu = boot(tier, code);
    for (const [name, value] of Object.entries(before)) cpu.set(name as keyof typeof REGISTER, BigInt.asUintN(64, BigInt(value))); // prettier-ignore
    expect(cpu.run(1000)).toMatchObject({ kind: 'exception', ...trap });
    for (const [name, value] of Object.entries(after))
      expect([name, cpu.get(name as keyof typeof REGISTER)]).toEqual([name, BigInt(value)]);
    expect(cpu.get('rip')).toBe(BigInt(TEST.code + offset));
  });

  it('leaves nothing of a store across', () => {
    const cpu = boot(tier, '48 89 03 48 83 C3 05 EB F7');
    cpu.set('rax', 0xffff_ffff_ffff_ffffn);
    cpu.set('rbx', DATA_END - 51);
    cpu.run(1000);
    expect([...cpu.getBytes(DATA_END - 5, 5)]).toEqual([0xff, 0xff, 0, 0, 0]);
  });

  it.each([
    ['FXSAVE', '0F AE 03 48 83 C3 10 EB F7', 512, 16, undefined],
    ['XSAVE', '0F AE 23 48 83 C3 40 EB F7', 832, 64, 'v3' as const],
  ])('%s stores all or nothing', (_name, code, size, step, cpuModel) => {
    const cpu = boot(tier, code, cpuModel);
    cpu.setBytes(TEST.data + 4096, new Uint8Array(4096).fill(0));
    for (let i = 0; i < 16; i++) cpu.setXmm(i, BigInt(i + 1) << 64n);
    cpu.set('rax', 7);
    cpu.set('rdx', 0);
    const last = DATA_END - size; // the last place with room, or the one before
    const first = last - (last % step) - 3 * step;
    cpu.set('rbx', first);
    const trap = cpu.run(1000);
    expect(trap).toMatchObject({ kind: 'exception', vector: 14, errorCode: 6, executed: 12 });
    expect(cpu.get('rbx')).toBe(BigInt(first + 4 * step));
    // What lies there is of the one before, a step lower
    expect([...cpu.getBytes(first + 4 * step, 64)]).toEqual([...cpu.getBytes(first + 3 * step + step, 64)]);
    expect(cpu.getBytes(first + 3 * step + 24, 4)[1]).toBe(0x1f); // MXCSR of the last that was stored
    expect(cpu.getBytes(first + 4 * step + 24, 4)[1]).not.toBe(0x1f);
  });

  it('sees its own stores into a loop', () => {
    // 1: xor byte [rip+4], 8 (inc rbx becomes dec and back); jmp; inc rbx; dec ecx; jnz 1b
    const cpu = boot(tier, '80 35 04 00 00 00 08 EB 00 48 FF C3 FF C9 75 F0');
    cpu.set('rcx', 41);
    cpu.set('rbx', 0);
    expect(cpu.run(41 * 5)).toMatchObject({ kind: 'budget', executed: 205 });
    expect(cpu.get('rbx')).toBe(0xffff_ffff_ffff_ffffn);
  });

  it('sees a store by a string instruction into the loop that it is in', () => {
    // 1: rep stosb over the two NOPs; stc or clc; adc rbx, 0; dec edx; jnz 1b, with another byte in every turn
    const cpu = boot(tier, '48 8D 3D 09 00 00 00 B9 02 00 00 00 34 01 F3 AA 90 90 48 83 D3 00 FF CA 75 E6');
    cpu.set('rax', 0xf8); // clc, stc in turns
    cpu.set('rdx', 10);
    cpu.set('rbx', 0);
    cpu.set('rdi', 0);
    cpu.run(10 * 9);
    expect(cpu.get('rdx')).toBe(0n);
    expect(cpu.get('rbx')).toBe(5n);
  });

  it('runs a loop on two pages, and sees both halves change', () => {
    const cpu = boot(tier, '90');
    // at the page's end: 1: add rbx, 1 (across the pages); dec ecx; jnz 1b
    cpu.setBytes(TEST.code + 4094, [0x48, 0x83, 0xc3, 1, 0xff, 0xc9, 0x75, 0xf8]);
    const turns = (count: number): bigint => {
      cpu.set('rip', TEST.code + 4094);
      cpu.set('rbx', 0);
      cpu.set('rcx', count);
      expect(cpu.run(3 * count).executed).toBe(3 * count);
      return cpu.get('rbx');
    };
    expect(turns(20)).toBe(20n);
    cpu.setBytes(TEST.code + 4097, [5]); // on the second page
    expect(turns(20)).toBe(100n);
    cpu.setBytes(TEST.code + 4095, [0x83, 0xeb]); // ModRM is on the second page: sub
    expect(turns(3)).toBe(BigInt.asUintN(64, -15n));
    cpu.setBytes(TEST.code + 4094, [0x49]); // REX on the first: r11
    cpu.set('r11', 100);
    expect(turns(3)).toBe(0n);
    expect(cpu.get('r11')).toBe(85n);
  });

  it('follows pages that become writable, read-only, other frames', () => {
    const cpu = boot(tier, '48 89 03 48 8B 13 FF C9 75 F6'); // 1: mov [rbx], rax; mov rdx, [rbx]; dec ecx; jnz 1b
    const { machine } = cpu;
    const entry = 0x4000 + (TEST.data >> 12) * 8;
    const frame = 0x110 * 4096;
    const remap = (bits: number): void => {
      store64(machine, entry, bits);
      invalidatePage(machine, 0, TEST.data);
    };
    const turns = (value: number): object => {
      cpu.set('rip', TEST.code);
      cpu.set('rbx', TEST.data);
      cpu.set('rax', value);
      cpu.set('rcx', 10);
      return { ...cpu.run(40) };
    };
    expect(turns(1)).toMatchObject({ kind: 'budget' });
    remap(frame + 5);
    expect(turns(2)).toMatchObject({
      kind: 'exception',
      vector: 14,
      errorCode: 7,
      address: TEST.data,
      executed: 0,
    });
    expect(cpu.get64(TEST.data)).toBe(1n);
    remap(frame + 7);
    expect(turns(3)).toMatchObject({ kind: 'budget' });
    remap(0x140 * 4096 + 7);
    expect(turns(4)).toMatchObject({ kind: 'budget' });
    expect(cpu.get64(TEST.data)).toBe(3n);
    expect(readBytes(machine, 0x140 * 4096, 1)[0]).toBe(4);
    remap(0);
    expect(turns(5)).toMatchObject({ kind: 'exception', vector: 14, errorCode: 6 });
    remap(frame + 7);
  });

  it('follows a code page that is mapped elsewhere, and back', () => {
    const cpu = boot(tier, '48 FF C3 FF C9 75 F9'); // 1: inc rbx; dec ecx; jnz 1b
    const { machine } = cpu;
    const entry = 0x4000 + (TEST.code >> 12) * 8;
    writeBytes(machine, 0x101 * 4096, Uint8Array.of(0x48, 0xff, 0xcb, 0xff, 0xc9, 0x75, 0xf9)); // dec rbx
    const turns = (): bigint => {
      cpu.set('rip', TEST.code);
      cpu.set('rbx', 50);
      cpu.set('rcx', 10);
      cpu.run(30);
      return cpu.get('rbx');
    };
    for (const [frame, result] of [[0x100, 60n], [0x101, 40n], [0x100, 60n], [0x101, 40n]] as const) {
      store64(machine, entry, frame * 4096 + 7);
      invalidatePage(machine, 0, TEST.code);
      expect(turns()).toBe(result);
    } // prettier-ignore
    store64(machine, entry, 0x100 * 4096 + 7);
    invalidatePage(machine, 0, TEST.code);
  });

  it('stops at breakpoints that a debugger pokes and takes away again', () => {
    const cpu = boot(tier, '48 FF C3 48 83 C2 02 FF C9 75 F5'); // 1: inc rbx; add rdx, 2; dec ecx; jnz 1b
    for (const register of ['rbx', 'rdx'] as const) cpu.set(register, 0);
    cpu.set('rcx', 1000);
    cpu.run(4 * 20);
    for (let stop = 0; stop < 5; stop++) {
      cpu.setBytes(TEST.code + 3, [0xcc]);
      expect(cpu.run(100)).toMatchObject({ kind: 'exception', vector: 3, executed: 2 });
      expect(cpu.get('rip')).toBe(BigInt(TEST.code + 4));
      cpu.setBytes(TEST.code + 3, [0x48]);
      cpu.set('rip', TEST.code + 3);
      expect(cpu.run(3 + 4 * 6)).toMatchObject({ kind: 'budget' });
    }
    expect([cpu.get('rbx'), cpu.get('rdx'), cpu.get('rcx')]).toEqual([55n, 110n, 945n]);
    expect(cpu.get('rip')).toBe(BigInt(TEST.code));
  });

  it('sees what another CPU writes into code that it runs', () => {
    const machine = twoCpus();
    configureTier(machine, tier);
    // CPU 0: 1: add rbx, 1; jmp 1b.  CPU 1: 1: mov [rdi], al; jmp 1b
    writeBytes(machine, 0x10_0000, Uint8Array.of(0x48, 0x83, 0xc3, 1, 0xeb, 0xfa));
    writeBytes(machine, 0x10_1000, Uint8Array.of(0x88, 0x07, 0xeb, 0xfc));
    let expected = 0;
    for (let turn = 1; turn < 30; turn++) {
      writeRegister(machine, 1, REGISTER.rax, turn);
      writeRegister(machine, 1, REGISTER.rdi, TEST.code + 3);
      expect(run(machine, 1, 6).executed).toBe(6);
      expect(run(machine, 0, 20).executed).toBe(20);
      expected += 10 * turn;
      expect(readRegister(machine, 0, REGISTER.rbx)).toBe(expected);
    }
  });

  it('keeps a page shared with another CPU, both writing', () => {
    const machine = twoCpus();
    configureTier(machine, tier);
    for (const cpu of [0, 1]) {
      // 1: lock inc qword [rdi]; jmp 1b
      writeBytes(machine, 0x10_0000 + cpu * 4096, Uint8Array.of(0xf0, 0x48, 0xff, 0x07, 0xeb, 0xfa));
      writeRegister(machine, cpu, REGISTER.rdi, TEST.data + 4092); // across two pages
    }
    for (let turn = 0; turn < 40; turn++) run(machine, turn & 1, 10 + 2 * (turn % 7));
    let whole = 0;
    for (let turn = 0; turn < 40; turn++) whole += (10 + 2 * (turn % 7)) / 2;
    expect(new DataView(readBytes(machine, 0x11_0ffc, 8).buffer).getUint32(0, true)).toBe(whole);
  });
});

/** CPU 0 with its code at TEST.code, CPU 1 a page behind; data at TEST.data. */
function twoCpus(): Machine {
  const machine = createMachine({ cpuCount: 2, memoryBytes: 64 << 20, cpuModel: 'v2' });
  configureCompiler(machine, { enabled: false });
  store64(machine, 0x1000, 0x2007);
  store64(machine, 0x2000, 0x3007);
  for (let i = 0; i < 4; i++) store64(machine, 0x3000 + i * 8, 0x4007 + i * 4096);
  for (let i = 0; i < 2; i++) {
    store64(machine, 0x4000 + ((TEST.code >> 12) + i) * 8, 0x10_0007 + i * 4096);
    store64(machine, 0x4000 + ((TEST.data >> 12) + i) * 8, 0x11_0007 + i * 4096);
  }
  for (const cpu of [0, 1]) {
    setPageTable(machine, cpu, 0x1000);
    loadContext(machine, cpu, newContext());
    writeRegister(machine, cpu, REGISTER.rip, TEST.code + cpu * 4096);
  }
  return machine;
}
