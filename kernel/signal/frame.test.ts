import { describe, expect, it } from 'vitest';
import { EFAULT } from '../abi/errno.ts';
import { FRAME_BYTES, readUcontext, writeSignalFrame } from '../abi/signal-frame.ts';
import { SA, SIGSEGV, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK } from '../abi/signal.ts';
import { get16, get32, get64, getBig64, put16 } from '../lib/bytes.ts';
import type { Task } from '../sched/task.ts';
import { altStackStatus, isOnAltStack } from './alt-stack.ts';
import { placeFrame } from './frame.ts';
import { newPendingSignals, newSignalInfo } from './state.ts';

const registers = Array.from({ length: 18 }, (_, i) =>
  BigInt.asUintN(64, BigInt(i) * 0x1111_1111_1111_1111n),
);
const bytes = writeSignalFrame({
  restorer: 0x40_1000, stack: { address: 0x7000_0000, flags: 0, size: 8192 }, registers, errorCode: 6, vector: 14,
  cr2: 0x1234, fpstate: 0x7fff_0000_0040, mask: 0xffff_fffe_7fff_feffn,
  info: newSignalInfo(SIGSEGV, 1, { address: 0x1234 }),
}); // prettier-ignore
const uc = bytes.subarray(8, 312);

describe('struct rt_sigframe', () => {
  it('is 440 bytes with the restorer first', () => {
    expect(bytes.length).toBe(FRAME_BYTES);
    expect(get64(bytes, 0)).toBe(0x40_1000);
  });

  it.each([
    ['uc_flags: XSAVE state, SS saved, strict', 0, 7n],
    ['ss_sp', 16, 0x7000_0000n],
    ['ss_size', 32, 8192n],
    ['r8 first', 40, registers[0]],
    ['rdi', 40 + 64, registers[8]],
    ['rsp', 40 + 120, registers[15]],
    ['rip', 40 + 128, registers[16]],
    ['rflags', 40 + 136, registers[17]],
    ['err', 40 + 152, 6n],
    ['trapno', 40 + 160, 14n],
    ['oldmask', 40 + 168, 0xffff_fffe_7fff_feffn],
    ['cr2', 40 + 176, 0x1234n],
    ['fpstate', 40 + 184, 0x7fff_0000_0040n],
    ['uc_sigmask', 296, 0xffff_fffe_7fff_feffn],
  ])('has %s', (_case, offset, value) => {
    expect(getBig64(uc, offset)).toBe(value);
  });

  it('has the selectors of 64-bit user code', () => {
    expect([get16(uc, 184), get16(uc, 186), get16(uc, 188), get16(uc, 190)]).toEqual([0x33, 0, 0, 0x2b]);
  });

  it('has siginfo behind the ucontext', () => {
    expect([get32(bytes, 312), get32(bytes, 320), get64(bytes, 328)]).toEqual([SIGSEGV, 1, 0x1234]);
  });

  it('reads back what it wrote', () => {
    const context = readUcontext(uc);
    expect(context.registers).toEqual(registers);
    expect(context).toMatchObject({
      fpstate: 0x7fff_0000_0040,
      mask: 0xffff_fffe_7fff_feffn,
      selectorsValid: true,
    });
  });

  it.each([
    ['CS of 32-bit code', 184, 0x23],
    ['CS of the kernel', 184, 0x10],
    ['a made-up SS', 190, 0x7b],
  ])('refuses %s', (_case, offset, value) => {
    const hostile = uc.slice();
    put16(hostile, offset, value);
    expect(readUcontext(hostile).selectorsValid).toBe(false);
  });
});

describe('the place of a frame', () => {
  const action = { handler: 1, flags: SA.RESTORER, restorer: 2, mask: 0n };
  const onStack = { ...action, flags: action.flags | SA.ONSTACK };
  const taskWith = (altStack: { address: number; size: number; flags: number }): Task => {
    const signals = { ...newPendingSignals(0n), altStack };
    const task: Partial<Task> = { signals };
    return task as Task;
  };
  const none = { address: 0, size: 0, flags: 0 };
  const alt = { address: 0x10_0000, size: 0x4000, flags: 0 };

  it('is below the red zone, aligned as a called function finds its stack', () => {
    const sp = 0x7fff_ffff_e123;
    const place = placeFrame(taskWith(none), action, sp, 512);
    expect(place).not.toBe(EFAULT);
    if (typeof place === 'number') return;
    expect(place.fpstate + 512).toBeLessThanOrEqual(sp - 128);
    expect(place.fpstate % 64).toBe(0);
    expect((place.frame + 8) % 16).toBe(0);
    expect(place.frame + FRAME_BYTES).toBeLessThanOrEqual(place.fpstate);
  });

  it('is at the top of the alternate stack when SA_ONSTACK asks', () => {
    const place = placeFrame(taskWith(alt), onStack, 0x7fff_0000_0000, 512);
    expect(place).toMatchObject({ fpstate: 0x10_4000 - 512 });
  });

  it('goes on below when the task is on the alternate stack already', () => {
    const place = placeFrame(taskWith(alt), onStack, 0x10_3000, 512);
    if (typeof place === 'number') throw new Error('there is room');
    expect(place.fpstate).toBeLessThan(0x10_3000);
  });

  it.each([
    ['the alternate stack is too small', { ...alt, size: 900 }, 0x7fff_0000_0000],
    ['the alternate stack is used up', alt, 0x10_0200],
    ['the stack pointer is at the bottom of memory', none, 512],
  ])('does not exist when %s', (_case, stack, sp) => {
    expect(placeFrame(taskWith(stack), onStack, sp, 512)).toBe(EFAULT);
  });

  it.each([
    [none, 0x10_1000, SS_DISABLE],
    [alt, 0x10_1000, SS_ONSTACK],
    [alt, 0x10_0000, 0], // the lowest address is not on it
    [alt, 0x10_4000, SS_ONSTACK], // an empty stack is
    [alt, 0x20_0000, 0],
  ])('status of %o at %i', (stack, sp, expected) => {
    expect(altStackStatus(stack, sp)).toBe(expected);
  });

  it('never counts as used when it disarms itself', () => {
    expect(isOnAltStack({ ...alt, flags: SS_AUTODISARM }, 0x10_1000)).toBe(false);
  });
});
