// XSAVE and XRSTOR: what they leave alone, initial states, and the images that they refuse (SDM vol. 1, 13.7 to 13.10).
import { describe, expect, it } from 'vitest';
import type { TestCpu } from '../exec/test-cpu.ts';
import { TEST, bootTestCpu } from '../exec/test-cpu.ts';
import { CONTEXT } from '../layout.ts';
import { VECTOR } from '../machine.ts';

const AREA = TEST.data + 64;
const [BV, COMPACT, AVX] = [512, 520, 576];
const XSAVE64 = '48 0F AE 27';
const XSAVEOPT = '0F AE 37';
const XSAVEC = '0F C7 27';
const XRSTOR = '0F AE 2F';

function boot(code: string, requested: bigint, model: 'v2' | 'v3' = 'v3'): TestCpu {
  const cpu = bootTestCpu(code, model);
  cpu.set('rdi', AREA);
  cpu.set('rax', requested);
  cpu.setBytes(AREA, new Uint8Array(832).fill(0xee));
  cpu.setBytes(AREA + BV, new Uint8Array(64));
  cpu.setYmm(3, (0x1234n << 128n) | 0x5678n);
  cpu.setField(CONTEXT.mxcsr, 4, 0x1fa0n);
  return cpu;
}

describe('saving', () => {
  it.each([
    ['xsave', XSAVE64, 7n, 7n, 0n],
    ['xsave of SSE only', XSAVE64, 2n, 2n, 0n],
    ['xsaveopt', XSAVEOPT, 7n, 7n, 0n],
    ['xsavec', XSAVEC, 7n, 7n, (1n << 63n) | 7n],
    ['components that nobody has', XSAVE64, 0xffff_ff00n | 4n, 4n, 0n],
  ])('%s tells the components', (_case, code, requested, present, compacted) => {
    const cpu = boot(code, requested);
    expect(cpu.run(1).kind).toBe('budget');
    expect(cpu.get64(AREA + BV)).toBe(present);
    expect(cpu.get64(AREA + COMPACT)).toBe(compacted);
  });

  it('keeps what was not asked for', () => {
    const cpu = boot(XSAVE64, 4n);
    cpu.set64(AREA + BV, 3n);
    expect(cpu.run(1).kind).toBe('budget');
    expect(cpu.get64(AREA + BV)).toBe(7n);
    expect(cpu.get64(AREA)).toBe(0xeeee_eeee_eeee_eeeen);
    expect(cpu.get64(AREA + 24)).toBe(0x0000_ffff_0000_1fa0n); // MXCSR goes with either vector component
    expect(cpu.get64(AREA + AVX + 3 * 16)).toBe(0x1234n);
  });

  it.each([
    ['xsave', XSAVE64, 0n],
    ['xsaveopt', XSAVEOPT, 0xeeee_eeee_eeee_eeeen],
    ['xsavec', XSAVEC, 0xeeee_eeee_eeee_eeeen],
  ])('%s of upper halves that are zero', (_case, code, stored) => {
    const cpu = boot(code, 7n);
    cpu.setYmm(3, 0n);
    expect(cpu.run(1).kind).toBe('budget');
    expect(cpu.get64(AREA + BV)).toBe(3n);
    expect(cpu.get64(AREA + AVX + 3 * 16)).toBe(stored);
  });

  it('has no upper halves in v2', () => {
    const cpu = boot(XSAVE64, 7n, 'v2');
    expect(cpu.run(1).kind).toBe('budget');
    expect(cpu.get64(AREA + BV)).toBe(3n);
    expect(cpu.get64(AREA + AVX)).toBe(0xeeee_eeee_eeee_eeeen);
  });
});

describe('restoring', () => {
  const withImage = (present: bigint, requested = 7n): TestCpu => {
    const cpu = boot(XRSTOR, requested);
    cpu.set64(AREA + 24, 0x1f80n);
    cpu.set64(AREA + BV, present);
    cpu.set64(AREA, 0x37fn);
    return cpu;
  };

  it('loads what is there and resets the rest', () => {
    const cpu = withImage(2n);
    expect(cpu.run(1).kind).toBe('budget');
    expect(cpu.getYmm(3)).toBe(BigInt(`0x${'ee'.repeat(16)}`));
    expect(cpu.getField(CONTEXT.ftw, 2)).toBe(0xffffn);
  });

  it('leaves alone what is not asked for', () => {
    const cpu = withImage(7n, 1n);
    expect(cpu.run(1).kind).toBe('budget');
    expect(cpu.getYmm(3)).toBe((0x1234n << 128n) | 0x5678n);
    expect(cpu.getField(CONTEXT.mxcsr, 4)).toBe(0x1fa0n);
  });

  it.each([
    ['an unknown component', BV, 15n],
    ['a compacted form with more than it says', COMPACT, (1n << 63n) | 2n],
    ['reserved bytes', BV + 16, 1n],
    ['reserved bits of MXCSR', 24, 0x1_0000n],
  ])('refuses %s', (_case, at, value) => {
    const cpu = withImage(7n);
    cpu.set64(AREA + at, value);
    expect(cpu.run(1)).toMatchObject({ kind: 'exception', vector: VECTOR.generalProtection });
    expect(cpu.getYmm(3)).toBe((0x1234n << 128n) | 0x5678n);
  });

  it('refuses an area that is not aligned', () => {
    const cpu = withImage(7n);
    cpu.set('rdi', AREA + 16);
    expect(cpu.run(1)).toMatchObject({ kind: 'exception', vector: VECTOR.generalProtection });
  });
});

describe('XCR0', () => {
  it.each([
    ['v2', 0n, 3n],
    ['v3', 0n, 7n],
    ['v3', 1n, 7n],
  ] as const)('of %s by XGETBV %i', (model, number, value) => {
    const cpu = boot('0F 01 D0', 0n, model);
    cpu.set('rcx', number);
    expect(cpu.run(1).kind).toBe('budget');
    expect(cpu.get('rax')).toBe(value);
  });

  it.each([
    ['XGETBV of another', '0F 01 D0', 2n],
    ['XSETBV in user mode', '0F 01 D1', 0n],
  ])('%s is refused', (_case, code, number) => {
    const cpu = boot(code, 7n);
    cpu.set('rcx', number);
    expect(cpu.run(1)).toMatchObject({ kind: 'exception', vector: VECTOR.generalProtection });
  });
});
