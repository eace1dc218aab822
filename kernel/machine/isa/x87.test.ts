// x87 against the real CPU where there is one: registers, flags, tags, memory and faults bit for bit, transcendental
// functions within the last place; a C program with long doubles; and faults and masks by hand.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TEST, bootTestCpu } from '../exec/test-cpu.ts';
import { runProgram } from '../exec/test-program.ts';
import { CONTEXT } from '../layout.ts';
import { bootEmulated } from '../lockstep/emulated.ts';
import { describeFailure, runLockstep } from '../lockstep/judge.ts';
import { buildNative, removeNative } from '../lockstep/native.ts';
import { VECTOR } from '../machine.ts';

const host = buildNative();

describe.skipIf(host === undefined)('x87 as on the real CPU', () => {
  it('leaves the same state after every form', { timeout: 300_000 }, () => {
    if (host === undefined) return;
    const options = { families: ['x87'], cases: 40, seed: 11, only: /^/, sequences: 500, x87Pointers: false };
    const report = runLockstep(host, bootEmulated(), options);
    const shown = report.failures.slice(0, 5).map((failure) => describeFailure(host, failure));
    removeNative(host);
    expect(shown.join('\n')).toBe('');
    expect(report.forms).toBeGreaterThan(140);
  });

  it('runs a program with long doubles', { timeout: 120_000 }, () => {
    const directory = mkdtempSync(join(tmpdir(), 'x87-'));
    const program = join(directory, 'program');
    const source = join(import.meta.dirname, 'x87-program.c');
    const compiled = spawnSync('gcc', ['-O1', '-static', '-fno-builtin', '-o', program, source, '-lm'], { encoding: 'utf8' }); // prettier-ignore
    expect(compiled.stderr).toBe('');
    const native = spawnSync(program, { encoding: 'utf8' }).stdout;
    const emulated = runProgram(readFileSync(program), ['program'], 200e6);
    rmSync(directory, { recursive: true });
    expect(emulated.output).toBe(native);
    expect(emulated.status).toBe(0);
  });
});

const ZERO_DIVIDE_UNMASKED = 0x37bn;

describe('x87 exceptions', () => {
  it('an unmasked one waits for the next instruction that waits', () => {
    // fld1; fldz; fdivp; fnstsw ax; fnstcw [rbx]; fld1
    const cpu = bootTestCpu('D9 E8 D9 EE DE F9 DF E0 D9 3B D9 E8');
    cpu.set('rbx', TEST.data);
    cpu.setField(CONTEXT.fcw, 2, ZERO_DIVIDE_UNMASKED);
    expect(cpu.run(5).kind).toBe('budget');
    expect(cpu.get('rax') & 0xffffn).toBe(0xb084n); // not popped
    expect(cpu.run(1)).toMatchObject({ kind: 'exception', vector: VECTOR.floatingPoint, executed: 0 });
    expect(cpu.get('rip')).toBe(BigInt(TEST.code + 10));
  });
  it.each([
    ['FNCLEX', 'DB E2'],
    ['FNINIT', 'DB E3'],
    ['FNSTENV', 'D9 33'],
    ['FNSAVE', 'DD 33'],
  ])('%s does not wait, and nothing waits after it', (_name, code) => {
    const cpu = bootTestCpu(`D9 E8 D9 EE DE F9 ${code} 9B`);
    cpu.set('rbx', TEST.data);
    cpu.setField(CONTEXT.fcw, 2, ZERO_DIVIDE_UNMASKED);
    expect(cpu.run(5).kind).toBe('budget');
  });
  it('FLDCW that masks it takes it back, one that unmasks it raises it', () => {
    // fld1; fldz; fdivp; fldcw [rbx]; fwait
    const cpu = bootTestCpu('D9 E8 D9 EE DE F9 D9 2B 9B');
    cpu.set('rbx', TEST.data);
    cpu.set64(TEST.data, ZERO_DIVIDE_UNMASKED);
    expect(cpu.run(5)).toMatchObject({ kind: 'exception', vector: VECTOR.floatingPoint, executed: 4 });
  });
  it('a store that faults leaves the stack and the flags as they were', () => {
    const cpu = bootTestCpu('D9 EB DD 1B'); // fldpi; fstp qword [rbx], not present
    cpu.set('rbx', TEST.data + 0x2000);
    cpu.run(1);
    expect(cpu.run(1)).toMatchObject({ kind: 'exception', vector: VECTOR.pageFault });
    expect(cpu.getField(CONTEXT.fsw, 2)).toBe(0x3800n);
  });
});

describe('x87 functions to the last place', () => {
  // Correctly rounded values of 64 bits, worked out with many digits elsewhere
  it.each([
    ['sin 1', 'D9 E8 D9 FE', 0x3ffen, 0xd76a_a478_4867_7021n],
    ['cos 1', 'D9 E8 D9 FF', 0x3ffen, 0x8a51_407d_a834_5c92n],
    ['atan 1', 'D9 E8 D9 E8 D9 F3', 0x3ffen, 0xc90f_daa2_2168_c235n],
    ['√2', 'D9 E8 D8 C0 D9 FA', 0x3fffn, 0xb504_f333_f9de_6484n],
    ['log2 π', 'D9 E8 D9 EB D9 F1', 0x3fffn, 0xd364_39a4_c6ef_bad9n],
  ])('%s', (_name, code, exponent, significand) => {
    const cpu = bootTestCpu(code);
    cpu.run(code.split(' ').length / 2);
    const top = Number(cpu.getField(CONTEXT.fsw, 2) >> 11n) & 7;
    const bits = cpu.getField(CONTEXT.x87 + 16 * top, 10);
    expect(bits.toString(16)).toBe(((exponent << 64n) | significand).toString(16));
  });
});

describe('x87 arithmetic on normal numbers', () => {
  const TOP = 1n << 63n;
  let seed = 1n;
  const random = (bits: number): bigint => {
    seed = BigInt.asUintN(64, seed * 6364136223846793005n + 1442695040888963407n);
    return BigInt.asUintN(64, seed ^ (seed >> 29n)) >> BigInt(64 - bits);
  };
  /** Halves of 32 bits that are random, or near to their ends. */
  const half = (): bigint => [random(32), random(4), 0xffff_ffffn - random(4), 0n][Number(random(2))] ?? 0n;
  const significand = (): bigint => TOP | (half() << 32n) | half();
  /** numerator / denominator · 2^63 to 64 bits, nearest even. */
  const exact = (
    numerator: bigint,
    denominator: bigint,
  ): { significand: bigint; exponent: number; status: bigint } => {
    let exponent = numerator.toString(2).length - denominator.toString(2).length;
    const scaled = (by: number): [bigint, bigint] =>
      by < 63 ? [numerator << BigInt(63 - by), denominator] : [numerator, denominator << BigInt(by - 63)];
    let [n, d] = scaled(exponent);
    if (n / d < TOP) [n, d] = scaled(--exponent);
    const rest = n % d;
    const up = 2n * rest > d || (2n * rest === d && ((n / d) & 1n) === 1n);
    const rounded = n / d + (up ? 1n : 0n);
    const status = rest === 0n ? 0n : up ? 0x220n : 0x20n;
    if (rounded === 2n * TOP) return { significand: TOP, exponent: exponent + 1, status };
    return { significand: rounded, exponent, status };
  };
  it.each([['FADD', 'D8 C1'], ['FSUB', 'D8 E1'], ['FMUL', 'D8 C9'], ['FDIV', 'D8 F1']])('%s', (name, code) => {
    const cpu = bootTestCpu(code);
    for (let i = 0; i < 2000; i++) {
      const [divisor, lower] = [significand(), Number(random(7))];
      // Every other dividend is near a multiple of the divisor
      const near = TOP | ((divisor * (TOP | (half() << 32n))) >> 64n) | random(1);
      const [a, b] = [i % 2 === 0 ? significand() : near, divisor];
      cpu.setField(CONTEXT.x87, 10, a | (0x3fffn << 64n));
      cpu.setField(CONTEXT.x87 + 16, 10, b | (BigInt(0x3fff - lower) << 64n));
      cpu.setField(CONTEXT.fsw, 2, 0n);
      cpu.setField(CONTEXT.ftw, 2, 0xfff0n);
      cpu.set('rip', TEST.code);
      cpu.run(1);
      const [x, y] = [a << 200n, b << BigInt(200 - lower)];
      const value = { FADD: [x + y, TOP << 200n], FSUB: [x - y, TOP << 200n], FMUL: [x * y, TOP << 463n], FDIV: [x, y] }[name] ?? [0n, 1n]; // prettier-ignore
      const [numerator, denominator] = [value[0] ?? 0n, value[1] ?? 1n];
      if (numerator === 0n) continue;
      const wanted = exact(numerator < 0n ? -numerator : numerator, denominator);
      const field = BigInt(0x3fff + wanted.exponent) | (numerator < 0n ? 0x8000n : 0n);
      expect(cpu.getField(CONTEXT.x87, 10).toString(16)).toBe(((field << 64n) | wanted.significand).toString(16));
      expect(cpu.getField(CONTEXT.fsw, 2)).toBe(wanted.status);
    }
  }); // prettier-ignore
});
