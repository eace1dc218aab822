// Model-specific registers (SDM vol. 4, table 2-2): a table of those that the CPU has, and RDMSR, WRMSR, RDPMC. All
// others give #GP, as do values with bits that an MSR does not have.

import type { Emitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, ret } from '../exec/wasm.ts';
import { CONTEXT, SYSTEM } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import { EFER, PTE_RESERVED } from '../system-state.ts';
import type { Family, Helper } from './declare.ts';
import { instruction } from './declare.ts';
import { HELPER, failIf, fieldOf, goOnPrivileged, isNotCanonical, setField, setTscNow, tscNow } from './system-support.ts'; // prettier-ignore

const [RAX, RCX, RDX] = [0, 1, 2] as const;

interface Msr {
  readonly index: number;
  /** Its field in the context. */
  readonly at?: number;
  /** Instead of a field. */
  readonly read?: (f: Emitter) => Code;
  /** Bits that may be set; all of them if it is not said. */
  readonly valid?: bigint;
  /** Bits that a write changes. */
  readonly changes?: bigint;
  /** Fails, if the value is not allowed. */
  check?(f: Emitter, value: Code): void;
  /** 'ignored': a write does nothing. */
  readonly write?: 'ignored' | 'forbidden' | ((f: Emitter, value: Code) => void);
  /** Page tables mean something else after a write. */
  readonly flushes?: true;
}

const ALL = 0xffff_ffff_ffff_ffffn;
const LOW_HALF = 0xffff_ffffn;
const ADDRESS_BITS = 0xff_ffff_f000n; // page-aligned, of 40 bits
const not = (mask: bigint): Code => i64.const(BigInt.asIntN(64, ~mask));
const within = (value: Code, mask: bigint): Code => i64.and(value, i64.const(BigInt.asIntN(64, mask)));

const canonical = (f: Emitter, value: Code): void =>
  failIf(f, isNotCanonical(value), VECTOR.generalProtection);

/** Eight memory types (uncacheable 0, combining 1, through 4, protected 5, back 6, and for PAT uncached 7). */
function memoryTypes(f: Emitter, value: Code, highest: 6 | 7, bytes: number): void {
  for (let i = 0; i < bytes; i++) {
    const type = f.let('i32', i32.and(i32.wrap_i64(i64.shr_u(value, i64.const(i * 8))), i32.const(0xff)));
    const reserved = i32.or(i32.eq(type, i32.const(2)), i32.eq(type, i32.const(3)));
    failIf(f, i32.or(reserved, i32.gt_u(type, i32.const(highest))), VECTOR.generalProtection);
  }
}

const EFER_VALID = BigInt(EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE);
const NO_EXECUTE = 1n << 63n;

function writeEfer(f: Emitter, value: Code): void {
  // LMA is the CPU's; LME cannot change while paging is on
  const changed = i64.xor(fieldOf(f, SYSTEM.efer), value);
  failIf(f, i64.ne(within(changed, BigInt(EFER.LME)), i64.const(0)), VECTOR.generalProtection);
  setField(f, SYSTEM.efer, i64.or(value, i64.const(EFER.LMA)));
  setField(f, SYSTEM.pteReserved, i64.const(BigInt.asIntN(64, PTE_RESERVED | NO_EXECUTE)));
  const isOn = i64.ne(within(value, BigInt(EFER.NXE)), i64.const(0));
  f.when(isOn, () => setField(f, SYSTEM.pteReserved, i64.const(PTE_RESERVED)));
}

const FIXED_RANGES = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f] as const;
const VARIABLE_RANGES = 8;
/** So many variable ranges, the fixed ones, write combining. */
const MTRR_CAPABILITIES = 0x508;

const mtrrs: readonly Msr[] = [
  { index: 0xfe, read: () => i64.const(MTRR_CAPABILITIES), write: 'forbidden' },
  ...FIXED_RANGES.map((index, i): Msr => ({
    index,
    at: SYSTEM.mtrrFixed + i * 8,
    check: (f, value) => memoryTypes(f, value, 6, 8),
  })),
  ...Array.from({ length: VARIABLE_RANGES }, (_unused, i): Msr[] => [
    {
      index: 0x200 + 2 * i,
      at: SYSTEM.mtrrVariable + i * 16,
      valid: ADDRESS_BITS | 0xffn,
      check: (f, value) => memoryTypes(f, value, 6, 1),
    },
    { index: 0x201 + 2 * i, at: SYSTEM.mtrrVariable + i * 16 + 8, valid: ADDRESS_BITS | 0x800n },
  ]).flat(),
  { index: 0x2ff, at: SYSTEM.mtrrDefault, valid: 0xcffn, check: (f, value) => memoryTypes(f, value, 6, 1) },
];

const MSRS: readonly Msr[] = [
  { index: 0x10, read: tscNow, write: setTscNow },
  { index: 0x1b, at: SYSTEM.apicBase, valid: ADDRESS_BITS | 0x900n },
  { index: 0x8b, read: () => i64.const(0), write: 'ignored' }, // microcode: no update
  { index: 0x1a0, at: SYSTEM.miscEnable, valid: 0x1801n, changes: 1n },
  { index: 0x277, at: SYSTEM.pat, check: (f, value) => memoryTypes(f, value, 7, 8) },
  ...mtrrs,
  { index: 0xc000_0080, at: SYSTEM.efer, valid: EFER_VALID, write: writeEfer, flushes: true },
  { index: 0xc000_0081, at: SYSTEM.star },
  { index: 0xc000_0082, at: SYSTEM.lstar, check: canonical },
  { index: 0xc000_0083, at: SYSTEM.cstar, check: canonical },
  { index: 0xc000_0084, at: SYSTEM.sfmask, valid: LOW_HALF },
  { index: 0xc000_0100, at: CONTEXT.fsBase, check: canonical },
  { index: 0xc000_0101, at: CONTEXT.gsBase, check: canonical },
  { index: 0xc000_0102, at: SYSTEM.kernelGsBase, check: canonical },
  { index: 0xc000_0103, at: SYSTEM.tscAux, valid: LOW_HALF },
];

/** readMsr(context, index): the value is left in scratch. */
const readMsr: Helper = {
  name: 'readMsr',
  parameters: ['i32', 'i32'],
  result: 'i32',
  emit(f, context, index) {
    for (const msr of MSRS)
      f.when(i32.eq(index, i32.const(msr.index)), () => {
        const value = msr.read === undefined ? fieldOf(f, msr.at ?? CONTEXT.zero) : msr.read(f);
        f.emit(i64.store(context, value, CONTEXT.scratch));
        f.emit(ret(i32.const(HELPER.done)));
      });
    failIf(f, i32.const(1), VECTOR.generalProtection);
    return i32.const(HELPER.fault);
  },
};

const FLUSH = 2;

/** writeMsr(context, index, value) → HELPER, or FLUSH: done, and the TLB is to be flushed. */
const writeMsr: Helper = {
  name: 'writeMsr',
  parameters: ['i32', 'i32', 'i64'],
  result: 'i32',
  emit(f, _context, index, value) {
    for (const msr of MSRS)
      f.when(i32.eq(index, i32.const(msr.index)), () => {
        const { write, valid = ALL, changes = ALL, at = CONTEXT.zero } = msr;
        if (write === 'forbidden') failIf(f, i32.const(1), VECTOR.generalProtection);
        const others = i64.ne(i64.and(value, not(valid)), i64.const(0));
        if (valid !== ALL) failIf(f, others, VECTOR.generalProtection);
        msr.check?.(f, value);
        if (typeof write === 'function') write(f, value);
        else if (write === undefined) {
          const kept = i64.and(fieldOf(f, at), not(changes));
          setField(f, at, changes === ALL ? value : i64.or(kept, within(value, changes)));
        }
        f.emit(ret(i32.const(msr.flushes === true ? FLUSH : HELPER.done)));
      });
    failIf(f, i32.const(1), VECTOR.generalProtection);
    return i32.const(HELPER.fault);
  },
};

const rdmsr = instruction({
  mnemonic: 'rdmsr',
  source: 'SDM vol. 2B, RDMSR',
  forms: [['0F 32', '']],
  emit(e) {
    e.privileged();
    e.faultIf(e.call('readMsr', e.context, i32.wrap_i64(e.register(RCX))));
    const value = e.let('i64', i64.load(e.context, CONTEXT.scratch));
    e.setRegister(RAX, value, 4);
    e.setRegister(RDX, i64.shr_u(value, i64.const(32)), 4);
  },
});

const wrmsr = instruction({
  mnemonic: 'wrmsr',
  source: 'SDM vol. 2D, WRMSR',
  forms: [['0F 30', '']],
  missing:
    'effects of PAT, MTRRs and the APIC base; a written TSC lasts until the kernel sets it for the next run()',
  emit(e) {
    e.privileged();
    const value = i64.or(i64.shl(e.register(RDX), i64.const(32)), e.register(RAX, 4));
    const index = i32.wrap_i64(e.register(RCX));
    const outcome = e.let('i32', e.call('writeMsr', e.context, index, e.let('i64', value)));
    e.faultIf(i32.eq(outcome, i32.const(HELPER.fault)));
    e.when(i32.eq(outcome, i32.const(FLUSH)), () => goOnPrivileged(e, e.nextRip()));
  },
});

const rdpmc = instruction({
  mnemonic: 'rdpmc',
  source: 'SDM vol. 2B, RDPMC: CPUID shows no performance counter, so there is none to name',
  forms: [['0F 33', '']],
  emit: (e) => e.raise(VECTOR.generalProtection),
});

export const systemMsr: Family = { helpers: [readMsr, writeMsr], instructions: [rdmsr, wrmsr, rdpmc] };
