// Corners of the base instruction set, each as a real CPU (Skylake) has it: PAUSE with REX.B, length limits, the 67h prefix with
// REP, single step, alignment checks, addresses that are not canonical, 16-bit ENTER.
import { describe, expect, it } from 'vitest';
import { TEST, bootTestCpu } from '../exec/test-cpu.ts';
import type { TestCpu } from '../exec/test-cpu.ts';
import { CONTEXT, SYSTEM } from '../layout.ts';

type Registers = Partial<Record<Parameters<TestCpu['set']>[0], bigint | number>>;
const FLAGS = { trap: 0x302, alignment: 0x4_0202, both: 0x4_0302 } as const;
const CR0_OF_LINUX = 0x8005_0033n;
const NOT_CANONICAL = 0x8_0000_0000_0000n;
const { data, code } = TEST;

function boot(bytes: string, registers: Registers): TestCpu {
  const cpu = bootTestCpu(bytes);
  cpu.setField(SYSTEM.cr0, 8, CR0_OF_LINUX);
  for (const name of Object.keys(registers)) {
    const value = registers[name as keyof Registers]; // keys of the literal that the type checked
    if (value !== undefined) cpu.set(name as keyof Registers, value);
  }
  return cpu;
}
const outcome = (cpu: TestCpu, count = 1): string => {
  const trap = cpu.run(count);
  return trap.kind === 'exception' ? `${trap.vector}` : trap.kind;
};

describe('exceptions', () => {
  const legacy = (count: number): string => '66 '.repeat(count);
  it.each<[string, string, Registers, string]>([
    ['F3 41 90 is PAUSE', 'F3 41 90', {}, 'budget'],
    ['16 bytes of a known instruction', `${legacy(14)}01 C8`, {}, '13'],
    ['15 bytes of an undefined one', `${legacy(13)}FE F8`, {}, '6'],
    ['16 bytes of an undefined one', `${legacy(14)}FE F8`, {}, '13'],
    ['its displacement counts', `${legacy(12)}FE B8 00 00 00 00`, {}, '13'],
    ['an undefined opcode of map 0F 38', `${legacy(12)}0F 38 FF C0`, {}, '13'],
    ['an undefined opcode without ModRM', `${legacy(13)}0F 04 C0`, {}, '6'],
    ['AAD has an immediate', `${legacy(14)}D5 00`, {}, '13'],
    ['a load', '48 8B 03', { rbx: NOT_CANONICAL }, '13'],
    ['a load by RSP', '48 8B 04 24', { rsp: NOT_CANONICAL }, '12'],
    ['a load by RBP', '48 8B 45 00', { rbp: NOT_CANONICAL }, '12'],
    ['a load by RBP with GS', '65 48 8B 45 00', { rbp: NOT_CANONICAL }, '13'],
    ['a load by RBX and RBP as index', '48 8B 04 2B', { rbp: NOT_CANONICAL }, '13'],
    ['a load by R12', '49 8B 04 24', { r12: NOT_CANONICAL }, '13'],
    ['push', '50', { rsp: NOT_CANONICAL }, '12'],
    ['pop', '58', { rsp: NOT_CANONICAL }, '12'],
    ['push of memory', 'FF 33', { rbx: NOT_CANONICAL }, '13'],
    ['pop to memory', '8F 03', { rbx: NOT_CANONICAL }, '13'],
    ['pop to memory without stack', '8F 03', { rsp: NOT_CANONICAL, rbx: data }, '12'],
    ['call', 'E8 00 00 00 00', { rsp: NOT_CANONICAL }, '12'],
    ['ret', 'C3', { rsp: NOT_CANONICAL }, '12'],
    ['leave', 'C9', { rbp: NOT_CANONICAL }, '12'],
    ['enter', 'C8 00 00 00', { rsp: NOT_CANONICAL }, '12'],
    ['movs', '48 A5', { rsi: NOT_CANONICAL, rdi: data }, '13'],
    ['an operand whose end is not canonical', '48 89 44 24 F9', { rsp: 0x8000_0000_0000n }, '12'],
    ['a vector at 1, alignment first', '0F 28 45 00', { rbp: NOT_CANONICAL + 1n }, '13'],
    ['FXSAVE at 1, alignment last', '0F AE 45 00', { rbp: NOT_CANONICAL + 1n }, '12'],
    ['FXRSTOR at 1', '0F AE 4D 00', { rbp: NOT_CANONICAL + 1n }, '12'],
    ['XSAVE at 1', '0F AE 65 00', { rbp: NOT_CANONICAL + 1n }, '12'],
    ['FXSAVE by RBX', '0F AE 03', { rbx: NOT_CANONICAL + 1n }, '13'],
    ['FXSAVE at 1 whose end is not canonical', '0F AE 45 00', { rbp: 0x7fff_ffff_ffe1n }, '13'],
    ['FXSAVE at 16 whose end is not canonical', '0F AE 45 00', { rbp: 0x7fff_ffff_fff0n }, '12'],
    ['a masked store of nothing', '66 0F F7 C1', { rdi: NOT_CANONICAL }, '13'],
    ['4 bytes at 2', '8B 03', { rbx: data + 2, rflags: FLAGS.alignment }, '17'],
    ['4 bytes at 4', '8B 03', { rbx: data + 4, rflags: FLAGS.alignment }, 'budget'],
    ['2 bytes at 1', '66 89 03', { rbx: data + 1, rflags: FLAGS.alignment }, '17'],
    ['1 byte', '8A 03', { rbx: data + 1, rflags: FLAGS.alignment }, 'budget'],
    ['16 bytes', '0F 10 03', { rbx: data + 1, rflags: FLAGS.alignment }, 'budget'],
    ['10 bytes at 4', 'DB 2B', { rbx: data + 4, rflags: FLAGS.alignment }, '17'],
    ['an environment at 2', 'D9 23', { rbx: data + 2, rflags: FLAGS.alignment }, '17'],
    ['alignment before pages', '48 8B 03', { rbx: data + 0x4001, rflags: FLAGS.alignment }, '17'],
    ['canonical before alignment', '48 8B 03', { rbx: NOT_CANONICAL + 1n, rflags: FLAGS.alignment }, '13'],
    ['movs', '48 A5', { rsi: data, rdi: data + 0x103, rflags: FLAGS.alignment }, '17'],
    ['push', '50', { rsp: TEST.stackTop - 1020, rflags: FLAGS.alignment }, '17'],
    ['single step', '90', { rflags: FLAGS.trap }, '1'],
    ['a fault goes before the step', '8B 03', { rbx: data + 2, rflags: FLAGS.both }, '17'],
  ])('%s', (_case, bytes, registers, expected) => {
    const cpu = boot(bytes, registers);
    expect(outcome(cpu)).toBe(expected);
    if (expected !== 'budget' && expected !== '1') expect(cpu.get('rip')).toBe(BigInt(code));
  });

  it('does not check alignment without CR0.AM, nor after POPF took AC away', () => {
    const off = boot('8B 03', { rbx: data + 2, rflags: FLAGS.alignment });
    off.setField(SYSTEM.cr0, 8, CR0_OF_LINUX & ~0x4_0000n);
    expect(outcome(off)).toBe('budget');
    const cpu = boot('8B 03 9D 8B 03 9D 8B 03', { rbx: data + 2 });
    const stack = Number(cpu.get('rsp'));
    cpu.set64(stack, BigInt(FLAGS.alignment));
    expect(outcome(cpu, 8)).toBe('17');
    expect(cpu.get('rip')).toBe(BigInt(code + 3));
    cpu.set('rip', code + 5); // the second POPF finds zeros
    expect(outcome(cpu, 2)).toBe('budget');
  });
});

describe('single step', () => {
  it('traps behind every instruction, and after POPF set TF behind the next', () => {
    const cpu = boot('9D 90 90', {});
    cpu.set64(Number(cpu.get('rsp')), BigInt(FLAGS.trap));
    expect(outcome(cpu, 100)).toBe('1');
    expect(cpu.get('rip')).toBe(BigInt(code + 2));
    expect(outcome(cpu, 100)).toBe('1');
    expect(cpu.get('rip')).toBe(BigInt(code + 3));
    expect(cpu.getField(SYSTEM.dr + 48, 8) & 0x4000n).toBe(0x4000n);
  });
  it('stops a repeated string instruction after each element', () => {
    const cpu = boot('F3 A4', { rcx: 3, rsi: data, rdi: data + 64, rflags: FLAGS.trap });
    for (const [left, end] of [[2n, 0], [1n, 0], [0n, 2]] as const) {
      expect(outcome(cpu, 100)).toBe('1');
      expect(cpu.get('rcx')).toBe(left);
      expect(cpu.get('rip')).toBe(BigInt(code + end));
    } // prettier-ignore
  });
  it('leaves flags alone until a repeated comparison is through', () => {
    const cpu = boot('F3 A6', { rcx: 2, rsi: data, rdi: data, rflags: FLAGS.trap });
    expect(outcome(cpu, 100)).toBe('1');
    expect(cpu.get('rflags') & 0x8d5n).toBe(0n);
    expect(outcome(cpu, 100)).toBe('1');
    expect(cpu.get('rflags') & 0x8d5n).toBe(0x44n);
  });
});

describe('repeated string instructions with 67h and a count of 0', () => {
  const upper = 0x77_0000_0000n;
  it.each<[string, string, boolean, boolean]>([
    ['movs', 'F3 67 A4', true, true],
    ['stos', 'F3 67 AA', false, true],
    ['lods', 'F3 67 AC', false, false],
    ['cmps', 'F3 67 A6', false, false],
    ['scas', 'F2 67 AE', false, false],
  ])('%s', (_name, bytes, source, target) => {
    const cpu = boot(bytes, { rcx: upper, rsi: upper + 1n, rdi: upper + 2n });
    expect(outcome(cpu)).toBe('budget');
    expect(cpu.get('rcx')).toBe(0n);
    expect(cpu.get('rsi')).toBe(source ? 1n : upper + 1n);
    expect(cpu.get('rdi')).toBe(target ? 2n : upper + 2n);
  });
});

it('enters with 16-bit operands', () => {
  const stack = TEST.stackTop - 64;
  const cpu = boot('66 C8 10 00 03', { rbp: 0x1122_3344_0000_0000n + BigInt(stack), rsp: stack - 512 });
  expect(outcome(cpu)).toBe('12'); // RBP as a whole is the address of the outer frames
  cpu.set('rbp', stack);
  cpu.set64(stack - 8, 0x1111_2222_3333_4444n);
  expect(outcome(cpu)).toBe('budget');
  const frame = BigInt(stack - 512 - 2);
  expect(cpu.get('rbp')).toBe(frame);
  expect(cpu.get('rsp')).toBe(frame - 6n - 16n);
  expect(cpu.get64(stack - 512 - 8)).toBe(
    ((BigInt(stack) & 0xffffn) << 48n) | (0x1111_2222n << 16n) | (frame & 0xffffn),
  );
  expect(cpu.getField(CONTEXT.xmm, 1)).toBe(0n);
});
