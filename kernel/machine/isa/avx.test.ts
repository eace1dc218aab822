// VEX: how it decodes, what it refuses, and that 128-bit forms clear the upper half.
import { describe, expect, it } from 'vitest';
import { TEST, bootTestCpu } from '../exec/test-cpu.ts';
import { VECTOR } from '../machine.ts';

const pattern = (byte: number): bigint => BigInt(`0x${byte.toString(16).padStart(2, '0').repeat(32)}`);

describe('VEX', () => {
  it('adds in both halves: vpaddd ymm0, ymm1, ymm2', () => {
    const cpu = bootTestCpu('C5 F5 FE C2', 'v3');
    cpu.setYmm(1, pattern(0x11));
    cpu.setYmm(2, pattern(0x22));
    expect(cpu.run(1).kind).toBe('budget');
    expect(cpu.getYmm(0)).toBe(pattern(0x33));
  });
  it('clears the upper half: vpaddd xmm9, xmm1, [rdi], unaligned', () => {
    const cpu = bootTestCpu('C5 71 FE 0F', 'v3');
    cpu.setYmm(9, pattern(0xff));
    cpu.setYmm(1, pattern(0x11));
    cpu.set('rdi', TEST.data + 3);
    cpu.setBytes(TEST.data + 3, new Array(16).fill(0x22));
    expect(cpu.run(1).kind).toBe('budget');
    expect(cpu.getYmm(9)).toBe(BigInt.asUintN(128, pattern(0x33)));
  });
  it('reads VEX.vvvv and W: andn rax, rcx, rdx', () => {
    const cpu = bootTestCpu('C4 E2 F0 F2 C2', 'v3');
    cpu.set('rcx', 0xf0n);
    cpu.set('rdx', -1n);
    expect(cpu.run(1).kind).toBe('budget');
    expect(cpu.get('rax')).toBe(0xffff_ffff_ffff_ff0fn);
  });
  it.each([
    ['without the feature', 'C5 F5 FE C2', 'v2'],
    ['behind 66', '66 C5 F5 FE C2', 'v3'],
    ['behind F3', 'F3 C5 F5 FE C2', 'v3'],
    ['behind F2', 'F2 C5 F5 FE C2', 'v3'],
    ['behind LOCK', 'F0 C5 F5 FE 07', 'v3'],
    ['behind REX', '40 C5 F5 FE C2', 'v3'],
    ['with a map that is none', 'C4 E0 75 FE C2', 'v3'],
    ['with L where it must be zero', 'C4 E2 F4 F2 C2', 'v3'],
  ] as const)('is undefined %s', (_case, code, model) => {
    const cpu = bootTestCpu(code, model);
    cpu.set('rdi', TEST.data);
    expect(cpu.run(1)).toMatchObject({ kind: 'exception', vector: VECTOR.invalidOpcode });
  });
});
