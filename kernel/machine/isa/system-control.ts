// Control and debug registers, the TLB and the caches, interrupts on and off, SWAPGS, HLT (SDM 3A 2.5, 2.8).

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import { CONTEXT, SYSTEM } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import { CR0, CR4 } from '../system-state.ts';
import type { Family, Instruction } from './declare.ts';
import { instruction } from './declare.ts';
import { fieldOf, goOnPrivileged, holdInterruptsOff, lacksIoPrivilege, raiseIfReserved, setField } from './system-support.ts'; // prettier-ignore

const among = (number: Code, known: readonly number[]): Code =>
  known.map((one) => i32.eq(number, i32.const(one))).reduce((a, b) => i32.or(a, b));
const has = (value: Code, bits: number): Code => i64.ne(i64.and(value, i64.const(bits)), i64.const(0));

const CONTROL_PLACES = [
  [0, SYSTEM.cr0],
  [2, CONTEXT.cr2],
  [3, CONTEXT.cr3],
  [4, SYSTEM.cr4],
  [8, SYSTEM.cr8],
] as const;
const CONTROL_REGISTERS = CONTROL_PLACES.map(([number]) => number);

const UNHEEDED = 'CR0.TS, EM, MP, NE and CR4.OSFXSR, OSXMMEXCPT do not stop x87 and SSE';

const fromControl = instruction({
  mnemonic: 'mov',
  source: 'SDM vol. 2B, MOV—Move to/from Control Registers',
  forms: [['0F 20 /r', 'Rq,Cq', 'anymod']],
  emit(e, target) {
    const number = e.let('i32', e.regField());
    e.raiseIf(i32.eqz(among(number, CONTROL_REGISTERS)), VECTOR.invalidOpcode);
    e.privileged();
    const value = e.variable('i64');
    value.set(i64.const(0));
    for (const [register, place] of CONTROL_PLACES)
      e.when(i32.eq(number, i32.const(register)), () => value.set(fieldOf(e, place)));
    e.write(target, value.get);
  },
});

const CR0_KEPT = BigInt(CR0.PG + (CR0.CD | CR0.NW | CR0.AM | CR0.WP | CR0.NE | CR0.TS | CR0.EM | CR0.MP | CR0.PE)); // prettier-ignore

/** Bits 32 and up are reserved; in 64-bit mode paging and protection stay on. Other unknown bits read as 0. */
function writeCr0(e: InstructionEmitter, value: Code): void {
  raiseIfReserved(e, value, 0xffff_ffffn);
  const on = i64.and(value, i64.const(CR0.PG + CR0.PE));
  e.raiseIf(i64.ne(on, i64.const(CR0.PG + CR0.PE)), VECTOR.generalProtection);
  const writeThrough = i64.and(value, i64.const(CR0.CD | CR0.NW));
  e.raiseIf(i64.eq(writeThrough, i64.const(CR0.NW)), VECTOR.generalProtection);
  setField(e, SYSTEM.cr0, i64.or(i64.and(value, i64.const(CR0_KEPT)), i64.const(CR0.ET)));
}

/** Frame of the top table, PWT, PCD and ignored bits; with 40 bits of physical address. */
const CR3_VALID = 0xff_ffff_ffffn;

function writeControl(e: InstructionEmitter, number: Code, value: Code): void {
  const on = (register: number, write: () => void): void =>
    e.when(i32.eq(number, i32.const(register)), write);
  on(0, () => {
    writeCr0(e, value);
  });
  on(2, () => {
    e.set('cr2', value);
  });
  on(3, () => {
    raiseIfReserved(e, value, CR3_VALID);
    e.set('cr3', value);
  });
  on(4, () => {
    const others = i64.and(value, i64.xor(fieldOf(e, SYSTEM.cr4Valid), i64.const(-1)));
    e.raiseIf(i64.ne(others, i64.const(0)), VECTOR.generalProtection);
    e.raiseIf(i32.eqz(has(value, CR4.PAE)), VECTOR.generalProtection); // not in long mode
    setField(e, SYSTEM.cr4, value);
  });
  on(8, () => {
    raiseIfReserved(e, value, 15n);
    setField(e, SYSTEM.cr8, value);
  });
}

const toControl = instruction({
  mnemonic: 'mov',
  source: 'SDM vol. 2B, MOV—Move to/from Control Registers; global pages go with the others',
  forms: [['0F 22 /r', 'Cq,Rq', 'anymod']],
  missing: UNHEEDED,
  emit(e, _target, source) {
    const number = e.let('i32', e.regField());
    e.raiseIf(i32.eqz(among(number, CONTROL_REGISTERS)), VECTOR.invalidOpcode);
    e.privileged();
    writeControl(e, number, e.read(source));
    goOnPrivileged(e, e.nextRip());
  },
});

/** DR4 and DR5 name DR6 and DR7, unless CR4.DE makes them undefined. Gives the number in the file. */
function debugRegister(e: InstructionEmitter): Code {
  const number = e.let('i32', e.regField());
  const isAlias = e.let('i32', among(number, [4, 5]));
  const undefinedHere = i32.and(isAlias, has(fieldOf(e, SYSTEM.cr4), CR4.DE));
  e.raiseIf(i32.or(i32.gt_u(number, i32.const(7)), undefinedHere), VECTOR.invalidOpcode);
  e.privileged();
  return e.let('i32', i32.add(number, i32.shl(isAlias, i32.const(1))));
}

const [DR6, DR7] = [SYSTEM.dr + 6 * 8, SYSTEM.dr + 7 * 8] as const;
const DR6_FIXED = 0xffff_0ff0;
const DR6_KEPT = 0xe00f; // B0 to B3, BD, BS, BT
const DR6_ACCESS = 0x2000;
const DR7_FIXED = 0x400;
const DR7_KEPT = 0xffff_2bffn;
const DR7_GUARD = 0x2000;

/** DR7.GD: the access is a #DB, and the handler may access them again. */
function guard(e: InstructionEmitter): void {
  e.unlikely(has(fieldOf(e, DR7), DR7_GUARD), () => {
    setField(e, DR6, i64.or(fieldOf(e, DR6), i64.const(DR6_ACCESS)));
    setField(e, DR7, i64.and(fieldOf(e, DR7), i64.const(~DR7_GUARD)));
    e.raise(VECTOR.debug);
  });
}
const placeOf = (f: Emitter, number: Code): Code => i32.add(f.context, i32.shl(number, i32.const(3)));

const fromDebug = instruction({
  mnemonic: 'mov',
  source: 'SDM vol. 2B, MOV—Move to/from Debug Registers',
  forms: [['0F 21 /r', 'Rq,Dq', 'anymod']],
  emit(e, target) {
    const number = debugRegister(e);
    guard(e);
    e.write(target, i64.load(placeOf(e, number), SYSTEM.dr));
  },
});

const toDebug = instruction({
  mnemonic: 'mov',
  source: 'SDM vol. 2B, MOV—Move to/from Debug Registers',
  forms: [['0F 23 /r', 'Dq,Rq', 'anymod']],
  missing: 'breakpoints: DR0 to DR3 stop nothing',
  emit(e, _target, source) {
    const number = debugRegister(e);
    const value = e.let('i64', e.read(source));
    const isHigh = i64.ne(i64.shr_u(value, i64.const(32)), i64.const(0));
    e.raiseIf(i32.and(i32.gt_u(number, i32.const(3)), isHigh), VECTOR.generalProtection);
    guard(e);
    e.emit(i64.store(placeOf(e, number), value, SYSTEM.dr));
    e.when(i32.eq(number, i32.const(6)), () =>
      setField(e, DR6, i64.or(i64.and(value, i64.const(DR6_KEPT)), i64.const(DR6_FIXED))),
    );
    e.when(i32.eq(number, i32.const(7)), () =>
      setField(e, DR7, i64.or(i64.and(value, i64.const(DR7_KEPT)), i64.const(DR7_FIXED))),
    );
  },
});

const clts = instruction({
  mnemonic: 'clts',
  source: 'SDM vol. 2A, CLTS',
  forms: [['0F 06', '']],
  emit(e) {
    e.privileged();
    setField(e, SYSTEM.cr0, i64.and(fieldOf(e, SYSTEM.cr0), i64.const(~CR0.TS)));
  },
});

/** PE MP EM TS; PE can only be set, and is. */
const MACHINE_STATUS = 0xe;
const lmsw = instruction({
  mnemonic: 'lmsw',
  source: 'SDM vol. 2A, LMSW',
  forms: [['0F 01 /6', 'Ew']],
  missing: UNHEEDED,
  emit(e, source) {
    e.privileged();
    const bits = i64.and(e.read(source), i64.const(MACHINE_STATUS));
    const others = i64.and(fieldOf(e, SYSTEM.cr0), i64.const(~MACHINE_STATUS));
    setField(e, SYSTEM.cr0, i64.or(others, bits));
  },
});

/** A register takes the operand size, memory 16 bits. Open to user code, as there is no UMIP. */
const smsw = instruction({
  mnemonic: 'smsw',
  source: 'SDM vol. 2B, SMSW',
  forms: [['0F 01 /4', 'RvMw']],
  emit: (e, target) => e.write(target, e.let('i64', fieldOf(e, SYSTEM.cr0))),
});

const invlpg = instruction({
  mnemonic: 'invlpg',
  source: 'SDM vol. 2A, INVLPG; all entries go, as the manual allows',
  forms: [['0F 01 /7', 'M']],
  emit(e) {
    e.privileged();
    goOnPrivileged(e, e.nextRip());
  },
});

/** Nothing to do but to be allowed: memory is coherent. */
const caches = instruction({
  mnemonic: 'invd/wbinvd',
  source: 'SDM vol. 2, INVD, WBINVD',
  forms: [
    ['0F 08', ''],
    ['0F 09', ''],
  ],
  emit: (e) => e.privileged(),
});

const INTERRUPT_FLAG = 0x200;
const cli = instruction({
  mnemonic: 'cli',
  source: 'SDM vol. 2A, CLI',
  forms: [['FA', '']],
  emit(e) {
    e.raiseIf(lacksIoPrivilege(e), VECTOR.generalProtection);
    e.set('rflags', i64.and(e.get('rflags'), i64.const(~INTERRUPT_FLAG)));
  },
});
const sti = instruction({
  mnemonic: 'sti',
  source: 'SDM vol. 2B, STI: interrupts come after the next instruction, unless they were on already',
  forms: [['FB', '']],
  emit(e) {
    e.raiseIf(lacksIoPrivilege(e), VECTOR.generalProtection);
    e.when(i32.eqz(has(e.get('rflags'), INTERRUPT_FLAG)), () => holdInterruptsOff(e));
    e.set('rflags', i64.or(e.get('rflags'), i64.const(INTERRUPT_FLAG)));
  },
});

const swapgs = instruction({
  mnemonic: 'swapgs',
  source: 'SDM vol. 2B, SWAPGS',
  forms: [['0F 01 F8', '']],
  emit(e) {
    e.privileged();
    const base = e.let('i64', e.get('gsBase'));
    e.set('gsBase', fieldOf(e, SYSTEM.kernelGsBase));
    setField(e, SYSTEM.kernelGsBase, base);
  },
});

const hlt = instruction({
  mnemonic: 'hlt',
  source: 'SDM vol. 2A, HLT: leaves run()',
  forms: [['F4', '']],
  emit(e) {
    e.privileged();
    e.exit('halt');
  },
});

const instructions: readonly Instruction[] = [
  fromControl,
  toControl,
  fromDebug,
  toDebug,
  clts,
  lmsw,
  smsw,
  invlpg,
  caches,
  cli,
  sti,
  swapgs,
  hlt,
];
export const systemControl: Family = { instructions };
