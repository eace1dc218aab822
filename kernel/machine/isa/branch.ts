// Near branches, loops, software interrupts.

import { i32, i64 } from '../exec/wasm.ts';
import type { InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { CONTEXT } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import type { Family, Instruction } from './declare.ts';
import { instruction } from './declare.ts';

const RCX = 1;
const RSP = 4;

const jmp = instruction({
  mnemonic: 'jmp',
  source: 'SDM vol. 2A, JMP',
  forms: [
    ['EB cb', 'Jb', 'end'],
    ['E9 cz', 'Jz', 'end'],
    ['FF /4', 'Eq', 'f64 end'],
  ],
  emit(e, target) {
    if (target.kind === 'relative') return e.jumpRelative(target);
    e.jump(e.read(target));
  },
});

function raiseUnlessCanonical(e: InstructionEmitter, address: Code): void {
  const canonical = i64.shr_s(i64.shl(address, i64.const(16)), i64.const(16));
  e.raiseIf(i64.ne(canonical, address), VECTOR.generalProtection);
}

const call = instruction({
  mnemonic: 'call',
  source: 'SDM vol. 2A, CALL',
  forms: [
    ['E8 cz', 'Jz'],
    ['FF /2', 'Eq', 'f64'],
  ],
  emit(e, target) {
    if (target.kind === 'relative') {
      e.push(e.nextRip());
      return e.jumpRelative(target);
    }
    const to = e.read(target);
    // CPUs store the return address before they look at the target; RSP moves only after both
    const top = e.sub(e.register(RSP), i64.const(8));
    const host = e.hostAt(top, 8, 'write');
    e.emit(i64.store(host, e.nextRip()));
    e.doneAt(host);
    raiseUnlessCanonical(e, to);
    e.setRegister(RSP, top);
    e.jumpTo(to);
  },
});

const ret = instruction({
  mnemonic: 'ret',
  source: 'SDM vol. 2B, RET',
  forms: [
    ['C3', '', 'end'],
    ['C2 iw', 'Iw', 'end'],
  ],
  emit(e, ...released) {
    const stack = e.register(RSP);
    const to = e.loadAt(stack, 8);
    raiseUnlessCanonical(e, to);
    const above = i64.add(stack, i64.const(8));
    const [bytes] = released;
    e.setRegister(RSP, bytes === undefined ? above : i64.add(above, e.read(bytes)));
    e.jumpTo(to);
  },
});

const CONDITIONS = [
  'o',
  'no',
  'b',
  'ae',
  'e',
  'ne',
  'be',
  'a',
  's',
  'ns',
  'p',
  'np',
  'l',
  'ge',
  'le',
  'g',
] as const;
const opcodeOf = (base: number, code: number): string => (base + code).toString(16).toUpperCase();

const conditional: Instruction[] = CONDITIONS.map((name, code) =>
  instruction({
    mnemonic: `j${name}`,
    source: 'SDM vol. 2A, Jcc',
    forms: [
      [`${opcodeOf(0x70, code)} cb`, 'Jb'],
      [`0F ${opcodeOf(0x80, code)} cz`, 'Jz'],
    ],
    emit: (e, target) => e.when(e.condition(code), () => e.jumpRelative(target)),
  }),
);

/** The counter, 32 bits wide with 67h. */
const counterOf = (e: InstructionEmitter): Code => e.register(RCX, e.address32 ? 4 : 8);

function looping(
  mnemonic: string,
  opcode: string,
  also: (e: InstructionEmitter) => Code | undefined,
): Instruction {
  return instruction({
    mnemonic,
    source: 'SDM vol. 2A, LOOP/LOOPcc',
    forms: [[`${opcode} cb`, 'Jb', 'a32']],
    emit(e, target) {
      const left = e.sub(counterOf(e), i64.const(1));
      e.setRegister(RCX, left, e.address32 ? 4 : 8);
      const more = e.let('i32', e.address32 ? i32.wrap_i64(left) : i64.ne(left, i64.const(0)));
      const condition = also(e);
      const taken = condition === undefined ? more : i32.and(i32.ne(more, i32.const(0)), condition);
      e.when(taken, () => e.jumpRelative(target));
    },
  });
}

const jrcxz = instruction({
  mnemonic: 'jrcxz',
  source: 'SDM vol. 2A, Jcc',
  forms: [['E3 cb', 'Jb', 'a32']],
  emit: (e, target) => e.when(i64.eqz(counterOf(e)), () => e.jumpRelative(target)),
});

function trap(mnemonic: string, opcode: string, vector: number): Instruction {
  return instruction({
    mnemonic,
    source: 'SDM vol. 2A, INT n/INTO/INT3/INT1',
    forms: [[opcode, '']],
    emit(e) {
      e.emit(i32.store(e.context, i32.const(vector), CONTEXT.trapVector));
      e.emit(i32.store(e.context, i32.const(0), CONTEXT.trapError));
      e.exit('trap');
    },
  });
}

/** At CPL 3 only the gates of #BP and #OF may be called; the others give #GP with the gate as error code. */
const int = instruction({
  mnemonic: 'int',
  source: 'SDM vol. 2A, INT n/INTO/INT3/INT1',
  forms: [['CD ib', 'Ib']],
  missing: 'int 80h, the 32-bit system call, is a #GP like the others',
  emit(e, number) {
    const vector = e.let('i32', i32.wrap_i64(e.read(number)));
    const isOpen = i32.or(
      i32.eq(vector, i32.const(VECTOR.breakpoint)),
      i32.eq(vector, i32.const(VECTOR.overflow)),
    );
    const gate = i32.add(i32.shl(vector, i32.const(3)), i32.const(2));
    e.raiseIf(i32.eqz(isOpen), VECTOR.generalProtection, gate);
    e.emit(i32.store(e.context, vector, CONTEXT.trapVector));
    e.emit(i32.store(e.context, i32.const(0), CONTEXT.trapError));
    e.exit('trap');
  },
});

export const branch: Family = {
  instructions: [
    jmp,
    call,
    ret,
    ...conditional,
    looping('loopne', 'E0', (e) => e.condition(5)),
    looping('loope', 'E1', (e) => e.condition(4)),
    looping('loop', 'E2', () => undefined),
    jrcxz,
    trap('int3', 'CC', VECTOR.breakpoint),
    trap('int1', 'F1', VECTOR.debug),
    int,
  ],
};
