// System instructions for everybody: SYSCALL, CPUID, the time-stamp counter, flags as a whole, fences and hints. Those of
// the kernel are in system-control.ts, system-table.ts, system-msr.ts, system-port.ts, segment.ts and far.ts.

import { ARITHMETIC_FLAGS } from '../exec/flags.ts';
import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64 } from '../exec/wasm.ts';
import { CONTEXT, SYSTEM } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import { CR4, EFER } from '../system-state.ts';
import type { CpuidLeaf } from './cpuid-leaves.ts';
import { cpuidLeaves } from './cpuid-leaves.ts';
import type { Family, Feature, Instruction } from './declare.ts';
import { FEATURES, instruction } from './declare.ts';
import { cpuNumberOf, fieldOf, tscNow } from './system-support.ts';

const [RAX, RCX, RDX, RBX] = [0, 1, 2, 3] as const;
const R11 = 11;

const syscall = instruction({
  mnemonic: 'syscall',
  source: 'SDM vol. 2B, SYSCALL: what the CPU does; the kernel is entered by leaving run()',
  forms: [['0F 05', '']],
  feature: 'syscall',
  emit(e) {
    const enabled = i32.wrap_i64(i64.and(fieldOf(e, SYSTEM.efer), i64.const(EFER.SCE)));
    e.raiseIf(i32.eqz(enabled), VECTOR.invalidOpcode);
    const others = i64.and(e.get('rflags'), i64.const(~(ARITHMETIC_FLAGS | 0x1_0000)));
    e.setRegister(R11, i64.or(i64.or(others, i64.const(2)), i64.extend_i32_u(e.flagBits())));
    e.setRegister(RCX, e.nextRip());
    e.exit('syscall');
  },
});

const answerCpuid =
  (leaves: readonly CpuidLeaf[]): Instruction['emit'] =>
  (e) => {
    const leaf = e.let('i32', i32.wrap_i64(e.register(RAX)));
    const subleaf = e.let('i32', i32.wrap_i64(e.register(RCX)));
    for (const register of [RAX, RBX, RCX, RDX]) e.setRegister(register, i64.const(0));
    for (const found of leaves) {
      const sameLeaf = i32.eq(leaf, i32.const(found.leaf));
      const same =
        found.subleaf === undefined ? sameLeaf : i32.and(sameLeaf, i32.eq(subleaf, i32.const(found.subleaf)));
      e.when(same, () => {
        const constant = (value: number): Code => i64.const(value >>> 0);
        e.setRegister(RAX, constant(found.eax));
        const apic = i64.shl(i64.extend_i32_u(cpuNumberOf(e)), i64.const(24));
        e.setRegister(RBX, found.leaf === 1 ? i64.or(constant(found.ebx), apic) : constant(found.ebx));
        e.setRegister(RCX, constant(found.ecx));
        e.setRegister(RDX, constant(found.edx));
      });
    }
  };

/** CPUID of a CPU with these features. */
export const cpuidOf = (features: readonly Feature[]): Instruction =>
  instruction({
    mnemonic: 'cpuid',
    source: 'SDM vol. 2A, CPUID',
    forms: [['0F A2', '']],
    emit: answerCpuid(cpuidLeaves(features)),
  });

/** CR4.TSD keeps user code from the counter. */
function readTsc(e: InstructionEmitter): void {
  const disabled = i64.ne(i64.and(fieldOf(e, SYSTEM.cr4), i64.const(CR4.TSD)), i64.const(0));
  e.raiseIf(i32.and(disabled, i32.ne(e.get('cpl'), i32.const(0))), VECTOR.generalProtection);
  const now = e.let('i64', tscNow(e));
  e.setRegister(RAX, now, 4);
  e.setRegister(RDX, i64.shr_u(now, i64.const(32)), 4);
}

const rdtsc = instruction({
  mnemonic: 'rdtsc',
  source: 'SDM vol. 2B, RDTSC; Deviation: one tick per instruction',
  forms: [['0F 31', '']],
  emit: readTsc,
});

const rdtscp = instruction({
  mnemonic: 'rdtscp',
  source: 'SDM vol. 2B, RDTSCP',
  forms: [['0F 01 F9', '']],
  feature: 'rdtscp',
  emit(e) {
    readTsc(e);
    e.setRegister(RCX, fieldOf(e, SYSTEM.tscAux), 4);
  },
});

const lahf = instruction({
  mnemonic: 'lahf',
  source: 'SDM vol. 2A, LAHF',
  forms: [['9F', '']],
  feature: 'lahf',
  emit(e) {
    const low = i32.or(i32.and(e.flagBits(), i32.const(0xd5)), i32.const(2));
    e.emit(i32.store8(e.context, low, CONTEXT.gpr + 1));
  },
});

const sahf = instruction({
  mnemonic: 'sahf',
  source: 'SDM vol. 2B, SAHF',
  forms: [['9E', '']],
  writes: 'SZAPC',
  feature: 'lahf',
  emit(e) {
    const low = i32.and(i32.load8_u(e.context, CONTEXT.gpr + 1), i32.const(0xd5));
    const word = e.let('i32', i32.or(i32.and(e.flagBits(), i32.const(0x800)), low));
    e.emit(e.call('setFlagBits', e.context, word));
  },
});

const DIRECTION = 0x400;
function flagSetting(mnemonic: string, opcode: string, emit: Instruction['emit']): Instruction {
  return instruction({ mnemonic, source: `SDM vol. 2, ${mnemonic.toUpperCase()}`, forms: [[opcode, '']], writes: 'C', emit }); // prettier-ignore
}

const cmc = flagSetting('cmc', 'F5', (e) => e.setFlags({ C: i32.eqz(e.flag('C')) }));
const clc = flagSetting('clc', 'F8', (e) => e.setFlags({ C: i32.const(0) }));
const stc = flagSetting('stc', 'F9', (e) => e.setFlags({ C: i32.const(1) }));

function direction(mnemonic: string, opcode: string, value: 0 | 1): Instruction {
  return instruction({
    mnemonic,
    source: `SDM vol. 2, ${mnemonic.toUpperCase()}`,
    forms: [[opcode, '']],
    emit(e) {
      const rest = i64.and(e.get('rflags'), i64.const(~DIRECTION));
      e.set('rflags', i64.or(rest, i64.const(value * DIRECTION)));
    },
  });
}

/** Nothing happens, and memory operands are not touched. */
const nop = instruction({
  mnemonic: 'nop',
  source: 'SDM vol. 2B, NOP; hint NOPs 0F 18 to 0F 1F, ENDBR64 among them',
  forms: [
    ['90', '', 'nop90'],
    ['0F 0D /r', 'Ev'],
    ['0F 18 /r', 'Ev'],
    ['0F 19 /r', 'Ev'],
    ['0F 1A /r', 'Ev'],
    ['0F 1B /r', 'Ev'],
    ['0F 1C /r', 'Ev'],
    ['0F 1D /r', 'Ev'],
    ['0F 1E /r', 'Ev'],
    ['0F 1F /r', 'Ev'],
  ],
  emit: () => undefined,
});

const fences = instruction({
  mnemonic: 'lfence/mfence/sfence',
  source: 'SDM vol. 2: memory is ordered here in any case',
  forms: [
    ['NP 0F AE E8+i', ''],
    ['NP 0F AE F0+i', ''],
    ['NP 0F AE F8+i', ''],
  ],
  feature: 'sse2',
  emit: () => undefined,
});

const clflush = instruction({
  mnemonic: 'clflush',
  source: 'SDM vol. 2A, CLFLUSH: faults as a read does',
  forms: [['NP 0F AE /7', 'Mb']],
  feature: 'clflush',
  emit: (e, line) => e.emit([e.read(line), 0x1a]),
});

const undefinedInstructions = instruction({
  mnemonic: 'ud',
  source: 'SDM vol. 2B, UD; SYSENTER and SYSEXIT, as CPUID does not show SEP',
  forms: [
    ['0F 34', ''],
    ['0F 35', ''],
    ['0F 0B', ''],
    ['0F B9 /r', 'Gv,Ev'],
    ['0F FF /r', 'Gv,Ev'],
  ],
  emit: (e) => e.raise(VECTOR.invalidOpcode),
});

export const system: Family = {
  instructions: [
    syscall,
    cpuidOf(FEATURES),
    rdtsc,
    rdtscp,
    lahf,
    sahf,
    cmc,
    clc,
    stc,
    direction('cld', 'FC', 0),
    direction('std', 'FD', 1),
    nop,
    fences,
    clflush,
    undefinedInstructions,
  ],
};
