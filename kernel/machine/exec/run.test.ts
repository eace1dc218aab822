// The run loop: exact budgets, precise faults, self-modifying code, instructions across pages, whole programs.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { invalidatePage, setPageTable, translate } from '../run.ts';
import { store64 } from '../memory.ts';
import { dropCaches } from '../run.ts';
import { runProgram } from './test-program.ts';
import { TEST, bootTestCpu } from './test-cpu.ts';

const PROGRAM = `
static long sys(long n, long a, long b, long c) { long r;
  asm volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory"); return r; }
static void show(unsigned long v) { char b[32]; int i = 31; b[i] = '\\n';
  do { b[--i] = '0' + v % 10; v /= 10; } while (v); sys(1, 1, (long)(b + i), 32 - i); }
static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
static unsigned char bytes[5000];
static __attribute__((noinline)) __int128 wide(__int128 a, __int128 b) { return a / b + a % b * 3; }
void _start(void) {
  show(fib(15));
  unsigned long sum = 0;
  for (int i = 0; i < 5000; i++) bytes[i] = i * 7 + (i >> 3);
  for (int k = 0; k < 20; k++) for (int i = 0; i < 5000; i++) sum = sum * 31 + bytes[i];
  show(sum);
  long mixed = -12345678901; unsigned h = 17;
  for (int i = 1; i < 300; i++) {
    mixed = mixed / i * 7 + (mixed % (i + 2)) - (mixed >> (i % 13));
    h = (h << 5 | h >> 27) ^ (unsigned)mixed; h *= 2654435761u;
    h += __builtin_popcount(h) + __builtin_ctz(h | 1) + __builtin_clz(h | 1) + (short)h + (signed char)(h >> 8);
    h ^= __builtin_bswap32(h) ^ (unsigned)__builtin_bswap64(mixed);
  }
  show((unsigned long)mixed); show(h); show((unsigned long)wide(((__int128)mixed << 50) + h, (__int128)sum << 20 | 12345));
  unsigned __int128 p = (unsigned __int128)sum * 0x123456789abcdef1ul; show((unsigned long)(p >> 64)); show((unsigned long)p);
  asm volatile("rep stosl" : : "D"(bytes), "c"(1000), "a"(0x01020304) : "memory");
  asm volatile("rep movsb" : : "D"(bytes + 3), "S"(bytes), "c"(4500) : "memory");
  sum = 0; for (int i = 0; i < 5000; i++) sum = sum * 33 + bytes[i];
  show(sum);
  sys(60, 3, 0, 0);
}`;

function compiled(source: string, ...flags: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'ringside-run-'));
  writeFileSync(join(folder, 'p.c'), source);
  execFileSync('gcc', [
    '-static',
    '-fno-stack-protector',
    ...flags,
    '-o',
    join(folder, 'p'),
    join(folder, 'p.c'),
    '-lgcc',
  ]);
  return join(folder, 'p');
}

function nativeResult(path: string, args: readonly string[]): { output: string; status: number } {
  try {
    return { output: execFileSync(path, [...args]).toString(), status: 0 };
  } catch (error) {
    const failure = error as { stdout: Buffer; status: number };
    return { output: failure.stdout.toString(), status: failure.status };
  }
}

/** Programs are compiled where they run: on an x86-64 host with a compiler. */
function canCompile(): boolean {
  try {
    return execFileSync('gcc', ['-dumpmachine']).toString().startsWith('x86_64');
  } catch {
    return false;
  }
}

describe.skipIf(!canCompile())('whole programs', () => {
  it.each([['-O0'], ['-O1'], ['-O2'], ['-O3', '-mno-sse']])('a program without a library prints what it prints natively, %s', (...flags) => {
    const path = compiled(PROGRAM, '-nostdlib', '-mpopcnt', '-mgeneral-regs-only', ...flags);
    const native = nativeResult(path, []);
    const result = runProgram(new Uint8Array(readFileSync(path)), ['p'], 50e6);
    expect(result.output).toBe(native.output);
    expect(result.status).toBe(native.status);
  }); // prettier-ignore

  it('counts the same however the run is sliced, with caches dropped or not', () => {
    const path = compiled(PROGRAM, '-nostdlib', '-mpopcnt', '-O2', '-mgeneral-regs-only');
    const elf = new Uint8Array(readFileSync(path));
    const whole = runProgram(elf, ['p'], 50e6);
    const sliced = runProgram(elf, ['p'], 50e6, 997);
    expect(sliced.instructions).toBe(whole.instructions);
    expect(sliced.output).toBe(whole.output);
  });

  it('runs a program with the C library', () => {
    const path = compiled('#include <stdio.h>\nint main(int c, char **v) { printf("%d %s %05x|%-6s|\\n", c, v[1], 4660, "ab"); return 5; }', '-O2'); // prettier-ignore
    const result = runProgram(new Uint8Array(readFileSync(path)), ['p', 'x'], 50e6);
    expect(result.output).toBe(nativeResult(path, ['x']).output);
    expect(result.status).toBe(5);
  });
});

describe('the budget', () => {
  it('is exact at every length', () => {
    // 1: inc rax; dec rcx; jnz 1b
    const code = '48 FF C0 48 FF C9 75 F8';
    for (const slice of [1, 2, 3, 7, 50]) {
      const cpu = bootTestCpu(code);
      cpu.set('rcx', 1000);
      for (let done = 0; done < 300; done += slice)
        expect(cpu.run(Math.min(slice, 300 - done))).toMatchObject({
          kind: 'budget',
          executed: Math.min(slice, 300 - done),
        });
      expect(cpu.get('rax')).toBe(100n);
      expect(cpu.get('rip')).toBe(BigInt(TEST.code));
    }
  });
  it('advances the time-stamp counter by one for each instruction', () => {
    const cpu = bootTestCpu('90 90 0F 31 48 89 C3 0F 31');
    cpu.run(2);
    cpu.run(3);
    expect(cpu.get('rax') - cpu.get('rbx')).toBe(2n);
  });
});

describe('precise faults', () => {
  it.each([
    ['a read', '48 8B 03', { vector: 14, errorCode: 4, address: TEST.data + 8192 }],
    ['a write', '48 89 03', { vector: 14, errorCode: 6, address: TEST.data + 8192 }],
    ['a read-modify-write', '48 01 03', { vector: 14, errorCode: 6, address: TEST.data + 8192 }],
    ['a read across', '48 8B 43 FF', { vector: 14, errorCode: 4, address: TEST.data + 8192 }],
    ['a push', '48 89 DC 48 83 C4 08 50', { vector: 14, errorCode: 6, address: TEST.data + 8192 }],
    ['a jump', 'FF E3', { vector: 14, errorCode: 20, address: TEST.data + 8192 }],
    ['a division by zero', '48 F7 F1', { vector: 0 }],
    ['an undefined opcode', '0F 0B', { vector: 6 }],
    ['an unknown opcode', '06', { vector: 6 }],
    ['LOCK without memory', 'F0 01 C0', { vector: 6 }],
    ['LOCK on MOV', 'F0 89 03', { vector: 6 }],
    ['HLT', 'F4', { vector: 13 }],
    ['IN', 'EC', { vector: 13 }],
    ['INT 80h', 'CD 80', { vector: 13, errorCode: 0x402 }],
    ['16 bytes of prefixes', '66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90', { vector: 13 }],
  ])('%s', (_name, code, expected) => {
    const cpu = bootTestCpu(code);
    cpu.set('rbx', TEST.data + 8192);
    cpu.set('rcx', 0);
    const before = cpu.get('rax');
    const trap = cpu.run(10);
    expect(trap).toMatchObject({ kind: 'exception', ...expected });
    expect(cpu.get('rax')).toBe(before);
    if (trap.vector === 14 && trap.errorCode === 20) expect(cpu.get('rip')).toBe(BigInt(TEST.data + 8192));
    else expect(cpu.get('rip')).toBe(BigInt(TEST.code + (code.startsWith('48 89 DC') ? 7 : 0)));
  });
  it('gives #GP for non-canonical addresses and targets', () => {
    const cpu = bootTestCpu('48 8B 03 FF E3');
    cpu.set('rbx', 0x8000_0000_0000n);
    expect(cpu.run(1)).toMatchObject({ kind: 'exception', vector: 13, errorCode: 0 });
    cpu.set('rip', TEST.code + 3);
    expect(cpu.run(1)).toMatchObject({ kind: 'exception', vector: 13, executed: 0 });
    expect(cpu.get('rip')).toBe(BigInt(TEST.code + 3));
  });
  it('leaves traps behind the instruction', () => {
    const cpu = bootTestCpu('90 CC 90');
    expect(cpu.run(10)).toMatchObject({ kind: 'exception', vector: 3, executed: 2 });
    expect(cpu.get('rip')).toBe(BigInt(TEST.code + 2));
  });
  it('stops a repeated string instruction where it faults, and goes on from there', () => {
    const cpu = bootTestCpu('F3 A4 90');
    cpu.set('rsi', TEST.code);
    cpu.set('rdi', TEST.data + 8192 - 100);
    cpu.set('rcx', 150);
    expect(cpu.run(5)).toMatchObject({
      kind: 'exception',
      vector: 14,
      errorCode: 6,
      address: TEST.data + 8192,
      executed: 0,
    });
    expect([cpu.get('rcx'), cpu.get('rdi'), cpu.get('rip')]).toEqual([
      50n,
      BigInt(TEST.data + 8192),
      BigInt(TEST.code),
    ]);
    cpu.set('rdi', TEST.data);
    expect(cpu.run(2)).toMatchObject({ kind: 'budget', executed: 2 });
    expect(cpu.get('rcx')).toBe(0n);
  });
});

describe('code that changes', () => {
  it('sees its own writes at the next instruction', () => {
    // mov byte [rip+1], 5 (the immediate of the next); mov al, 1
    const cpu = bootTestCpu('C6 05 01 00 00 00 05 B0 01 90');
    cpu.run(2);
    expect(cpu.get('rax')).toBe(5n);
  });
  it('sees what the kernel writes', () => {
    const cpu = bootTestCpu('B0 01 EB FC');
    cpu.run(20);
    cpu.setBytes(TEST.code + 1, [9]);
    cpu.run(2);
    expect(cpu.get('rax')).toBe(9n);
  });
  it('executes instructions across pages, and sees both halves change', () => {
    const cpu = bootTestCpu('90');
    cpu.setBytes(TEST.code + 4094, [0xb8, 1, 2, 3, 4, 0xeb, 0xf9]);
    cpu.set('rip', TEST.code + 4094);
    cpu.run(20);
    expect(cpu.get('rax')).toBe(0x04030201n);
    cpu.setBytes(TEST.code + 4098, [0x14]);
    cpu.run(2);
    expect(cpu.get('rax')).toBe(0x14030201n);
    cpu.setBytes(TEST.code + 4095, [0x11]);
    cpu.run(2);
    expect(cpu.get('rax')).toBe(0x14030211n);
    dropCaches(cpu.machine);
    cpu.run(20);
    expect(cpu.get('rax')).toBe(0x14030211n);
  });
  it('follows a code page that is mapped elsewhere', () => {
    const cpu = bootTestCpu('B0 01 EB FC');
    cpu.run(4);
    store64(cpu.machine, 0x4000 + 0x400 * 8, 0x101 * 4096 + 7); // the second code page: NOPs
    invalidatePage(cpu.machine, 0, TEST.code);
    cpu.set('rax', 0);
    cpu.run(4);
    expect(cpu.get('rax')).toBe(0n);
    store64(cpu.machine, 0x4000 + 0x400 * 8, 0x100 * 4096 + 7);
    invalidatePage(cpu.machine, 0, TEST.code);
  });
});

describe('page tables', () => {
  const entry = 0x4000 + 0x500 * 8;
  const frame = 0x110 * 4096;
  it.each([
    ['not present', 0n, '8A 03', { errorCode: 4 }],
    ['read-only', 5n, '88 03', { errorCode: 7 }],
    ['supervisor', 3n, '8A 03', { errorCode: 5 }],
    ['no-execute', 7n | (1n << 63n), 'FF E3', { errorCode: 21 }],
    ['reserved bit', 7n | (1n << 45n), '8A 03', { errorCode: 13 }],
    ['beyond memory', 7n | (1n << 36n), '8A 03', { errorCode: 13 }],
  ])('%s', (_name, bits, code, expected) => {
    const cpu = bootTestCpu(code);
    const low = Number(bits & 0xffffn);
    cpu.machine.view.setBigUint64(entry + 0x600_0000, (bits & ~0xffffn) | BigInt(frame + low), true);
    if (bits === 0n) store64(cpu.machine, entry, 0);
    setPageTable(cpu.machine, 0, 0x1000);
    cpu.set('rbx', TEST.data + 5);
    const trap = cpu.run(1 + Number(code === 'FF E3'));
    store64(cpu.machine, entry, frame + 7);
    setPageTable(cpu.machine, 0, 0x1000);
    expect(trap).toMatchObject({ kind: 'exception', vector: 14, address: TEST.data + 5, ...expected });
  });
  it('sets accessed and dirty bits as used', () => {
    const cpu = bootTestCpu('8A 03 88 03');
    store64(cpu.machine, entry, frame + 7);
    setPageTable(cpu.machine, 0, 0x1000);
    cpu.set('rbx', TEST.data);
    const bits = (): number => Number(cpu.machine.view.getBigUint64(entry + 0x600_0000, true)) & 0xfff;
    cpu.run(1);
    expect(bits()).toBe(0x27);
    cpu.run(1);
    expect(bits()).toBe(0x67);
    expect(translate(cpu.machine, 0, TEST.data + 3, 'write')).toBe(frame + 3);
    expect(translate(cpu.machine, 0, TEST.data + 8192, 'read')).toBe(-1);
  });
  it('maps 2 MiB and 1 GiB pages', () => {
    const cpu = bootTestCpu('8A 03');
    store64(cpu.machine, 0x3000 + 5 * 8, 0x20_0000 + 0x87);
    store64(cpu.machine, 0x2000 + 8, 0x87);
    cpu.machine.view.setUint8(0x600_0000 + 0x20_1234, 0x5a);
    expect(translate(cpu.machine, 0, 5 * 0x20_0000 + 0x1234, 'read')).toBe(0x20_1234);
    expect(translate(cpu.machine, 0, 2 ** 30 + 0x123_4567, 'read')).toBe(0x123_4567);
    cpu.set('rbx', 5 * 0x20_0000 + 0x1234);
    cpu.run(1);
    expect(cpu.get('rax') & 255n).toBe(0x5an);
  });
});
