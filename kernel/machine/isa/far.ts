// Far branches and returns between privileges: CALL, JMP and RET through descriptors, IRET, SYSRET. All targets are
// 64-bit code. A change of CPL leaves the run loop, which empties the CPU's caches.

import type { InstructionEmitter } from '../exec/emitter.ts';
import { ARITHMETIC_FLAGS } from '../exec/flags.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, select } from '../exec/wasm.ts';
import { SYSTEM } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import { EFER } from '../system-state.ts';
import type { Family, Operand } from './declare.ts';
import { instruction } from './declare.ts';
import { rplOf } from './descriptor.ts';
import { SEGMENT, fieldOf, goOnPrivileged, isNotCanonical, lacksIoPrivilege, selectorOf } from './system-support.ts'; // prettier-ignore

const [RCX, RSP, R11] = [1, 4, 11] as const;
type Width = 2 | 4 | 8;
const widthOf = (e: InstructionEmitter): Width => (e.size === 2 ? 2 : e.size === 4 ? 4 : 8);
const LOAD = { 2: i64.load16_u, 4: i64.load32_u, 8: i64.load } as const;
const STORE = { 2: i64.store16, 4: i64.store32, 8: i64.store } as const;

const MISSING = 'call gates and 32-bit code segments: selectors of either give #GP';

const raiseUnlessCanonical = (e: InstructionEmitter, rip: Code): void =>
  e.raiseIf(isNotCanonical(rip), VECTOR.generalProtection);

/** CALL and JMP: the pointer's segment must be at the current privilege; gives offset and CS with CPL in it. */
function farTarget(e: InstructionEmitter, pointer: Operand): { rip: Code; code: Code } {
  const width = widthOf(e);
  const host = e.hostAt(e.address(pointer), width + 2, 'read');
  const rip = e.let('i64', LOAD[width](host));
  const selector = e.let('i32', i32.load16_u(host, width));
  e.faultIf(e.call('checkCode', e.context, selector, i32.const(0)));
  return { rip, code: e.let('i32', i32.or(i32.and(selector, i32.const(0xfffc)), e.get('cpl'))) };
}
const setCode = (e: InstructionEmitter, code: Code): void =>
  e.emit(e.call('setPrivilege', e.context, code, selectorOf(e, SEGMENT.ss)));

const farJump = instruction({
  mnemonic: 'jmp far',
  source: 'SDM vol. 2A, JMP',
  forms: [['FF /5', 'Mv', 'end']],
  missing: MISSING,
  emit(e, pointer) {
    const { rip, code } = farTarget(e, pointer);
    raiseUnlessCanonical(e, rip);
    setCode(e, code);
    e.jumpTo(rip);
  },
});

const farCall = instruction({
  mnemonic: 'call far',
  source: 'SDM vol. 2A, CALL',
  forms: [['FF /3', 'Mv']],
  missing: MISSING,
  emit(e, pointer) {
    const width = widthOf(e);
    const { rip, code } = farTarget(e, pointer);
    const top = e.register(RSP);
    // CPUs store both before they look at the offset; RSP moves only after that
    const push = (index: number, value: Code): void => {
      const host = e.hostAt(i64.sub(top, i64.const(index * width)), width, 'write');
      e.emit(STORE[width](host, value));
      e.doneAt(host);
    };
    push(1, i64.extend_i32_u(selectorOf(e, SEGMENT.cs)));
    push(2, e.nextRip());
    raiseUnlessCanonical(e, rip);
    e.setRegister(RSP, i64.sub(top, i64.const(2 * width)));
    setCode(e, code);
    e.jumpTo(rip);
  },
});

/** After the checks: the new CPL and the rest. `special`: leave the loop even if CPL stays. */
function arrive(e: InstructionEmitter, rip: Code, code: Code, stack: Code, special: Code): void {
  const before = e.let('i32', e.get('cpl'));
  e.emit(e.call('setPrivilege', e.context, code, stack));
  e.when(i32.or(i32.ne(before, rplOf(code)), special), () => goOnPrivileged(e, rip));
  e.jumpTo(rip);
}

const farReturn = instruction({
  mnemonic: 'ret far',
  source: 'SDM vol. 2B, RET',
  forms: [
    ['CB', '', 'v end'],
    ['CA iw', 'Iv', 'end'], // v: for the operand size, which is that of the pops
  ],
  missing: MISSING,
  emit(e, ...released) {
    const [bytes] = released;
    const width = widthOf(e);
    const top = e.register(RSP);
    const pop = (index: number, past: Code, size: 2 | 4 | 8 = width): Code =>
      e.loadAt(i64.add(i64.add(top, i64.const(index * width)), past), size);
    // In this order, and of selectors two bytes, as CPUs do
    const code = e.let('i32', i32.wrap_i64(pop(1, i64.const(0), 2)));
    const rip = pop(0, i64.const(0));
    const extra = e.let(
      'i64',
      bytes === undefined ? i64.const(0) : i64.and(e.read(bytes), i64.const(0xffff)),
    );
    e.faultIf(e.call('checkCode', e.context, code, i32.const(1)));
    const above = e.let('i64', i64.add(i64.add(top, i64.const(2 * width)), extra));
    e.when(
      i32.eq(rplOf(code), e.get('cpl')),
      () => {
        raiseUnlessCanonical(e, rip);
        e.setRegister(RSP, above);
        setCode(e, code);
        e.jumpTo(rip);
      },
      () => {
        const stackPointer = pop(2, extra);
        const stack = e.let('i32', i32.wrap_i64(pop(3, extra, 2)));
        e.faultIf(e.call('checkStack', e.context, stack, rplOf(code)));
        raiseUnlessCanonical(e, rip);
        e.setRegister(RSP, i64.add(stackPointer, extra));
        arrive(e, rip, code, stack, i32.const(0));
      },
    );
  },
});

/** TF DF NT AC ID, which any IRET sets. */
const ALWAYS_SET = 0x24_4500;
const [INTERRUPT, IO_PRIVILEGE] = [0x200, 0x3000] as const;
const NESTED_TASK = 0x4000;

const TRAP_FLAG = 0x100;
const ALIGNMENT_CHECK = 0x4_0000;
/** Single step and alignment checks begin outside the run loop: flags of so many bytes that ask for them, i32. */
export const startsChecks = (flags: Code, bytes: number): Code =>
  i32.and(i32.wrap_i64(flags), i32.const(bytes === 2 ? TRAP_FLAG : TRAP_FLAG | ALIGNMENT_CHECK));

/** Which of the bits that are not arithmetic flags this code may set from a popped value, i64. */
export function settableFlags(e: InstructionEmitter): Code {
  const interrupt = select(lacksIoPrivilege(e), i64.const(0), i64.const(INTERRUPT));
  const io = select(e.get('cpl'), i64.const(0), i64.const(IO_PRIVILEGE));
  return e.let('i64', i64.or(i64.or(interrupt, io), i64.const(ALWAYS_SET)));
}
export function setFlagsFrom(e: InstructionEmitter, value: Code, mask: Code): void {
  const kept = i64.and(e.get('rflags'), i64.xor(mask, i64.const(-1)));
  e.set('rflags', i64.or(kept, i64.and(value, mask)));
  e.emit(e.call('setFlagBits', e.context, i32.wrap_i64(value)));
}

const iret = instruction({
  mnemonic: 'iret',
  source: 'SDM vol. 2A, IRET/IRETD/IRETQ; VIF, VIP and RF, which have no effect here, stay clear',
  forms: [['CF', '', 'v end']],
  writes: 'OSZAPC',
  missing: '32-bit code segments: their selectors give #GP',
  emit(e) {
    const width = widthOf(e);
    const nested = i32.wrap_i64(i64.and(e.get('rflags'), i64.const(NESTED_TASK)));
    e.raiseIf(nested, VECTOR.generalProtection);
    const top = e.register(RSP);
    const popped = (index: number, bytes: 2 | 4 | 8 = width): Code =>
      e.loadAt(i64.add(top, i64.const(index * width)), bytes);
    // In this order, and of selectors two bytes, as CPUs do
    const flags = popped(2);
    const code = e.let('i32', i32.wrap_i64(popped(1, 2)));
    const rip = popped(0);
    e.faultIf(e.call('checkCode', e.context, code, i32.const(1)));
    const stackPointer = popped(3);
    const stack = e.let('i32', i32.wrap_i64(popped(4, 2)));
    e.faultIf(e.call('checkStack', e.context, stack, rplOf(code)));
    raiseUnlessCanonical(e, rip);
    const mask = settableFlags(e);
    setFlagsFrom(e, flags, width === 2 ? i64.and(mask, i64.const(0xffff)) : mask);
    e.setRegister(RSP, stackPointer); // of 16 bits too, it is zero-extended
    arrive(e, rip, code, stack, startsChecks(flags, width));
  },
});

const USER = 3;
/** RF and VM are cleared, bits that do not exist stay 0 (SDM 2B SYSRET). */
const SYSRET_FLAGS = 0x3c_7fd7;
const VIRTUAL_INTERRUPTS = 0x18_0000;

const sysret = instruction({
  mnemonic: 'sysret',
  source: 'SDM vol. 2B, SYSRET',
  forms: [['0F 07', '', 'v end']],
  feature: 'syscall',
  writes: 'OSZAPC',
  missing: 'the return to 32-bit code (no REX.W) gives #GP',
  emit(e) {
    const enabled = i32.wrap_i64(i64.and(fieldOf(e, SYSTEM.efer), i64.const(EFER.SCE)));
    e.raiseIf(i32.eqz(enabled), VECTOR.invalidOpcode);
    e.privileged();
    const rip = e.register(RCX);
    raiseUnlessCanonical(e, rip);
    if (e.size !== 8) return e.raise(VECTOR.generalProtection);
    const selectors = e.let('i32', i32.wrap_i64(i64.shr_u(fieldOf(e, SYSTEM.star), i64.const(48))));
    const selector = (offset: number): Code =>
      i32.and(i32.or(i32.add(selectors, i32.const(offset)), i32.const(USER)), i32.const(0xffff));
    const flags = i64.and(e.register(R11), i64.const(SYSRET_FLAGS & ~VIRTUAL_INTERRUPTS));
    setFlagsFrom(e, e.let('i64', flags), i64.const(~ARITHMETIC_FLAGS));
    e.emit(e.call('setPrivilege', e.context, selector(16), selector(8)));
    goOnPrivileged(e, rip);
  },
});

export const far: Family = { instructions: [farJump, farCall, farReturn, iret, sysret] };
