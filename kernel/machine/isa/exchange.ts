// Read-modify-write for synchronisation: xadd, cmpxchg, cmpxchg8b, cmpxchg16b. CPUs change only between slices, so every
// instruction is atomic and LOCK needs nothing more.

import type { InstructionEmitter } from '../exec/emitter.ts';
import { i32, i64 } from '../exec/wasm.ts';
import type { Family, Operand } from './declare.ts';
import { instruction } from './declare.ts';

const [RAX, RCX, RDX, RBX] = [0, 1, 2, 3] as const;

const xadd = instruction({
  mnemonic: 'xadd',
  source: 'SDM vol. 2D, XADD',
  forms: [
    ['0F C0 /r', 'Eb,Gb', 'lock'],
    ['0F C1 /r', 'Ev,Gv', 'lock'],
  ],
  writes: 'OSZAPC',
  emit(e, target, source) {
    const a = e.read(target);
    const b = e.read(source);
    const sum = e.add(a, b);
    if (e.isMemory(target)) {
      e.write(target, sum);
      e.write(source, a);
    } else {
      e.write(source, a); // with both the same register, the sum stays
      e.write(target, sum);
    }
    e.flags('add', a, b, sum);
  },
});

const cmpxchg = instruction({
  mnemonic: 'cmpxchg',
  source: 'SDM vol. 2A, CMPXCHG: memory is written in either case',
  forms: [
    ['0F B0 /r', 'Eb,Gb', 'lock'],
    ['0F B1 /r', 'Ev,Gv', 'lock'],
  ],
  writes: 'OSZAPC',
  emit(e, target, source) {
    const bytes = e.size;
    const old = e.read(target);
    const replacement = e.read(source);
    const expected = e.register(RAX, bytes);
    const equal = e.let('i32', i64.eq(old, expected));
    if (e.isMemory(target)) {
      const value = e.variable('i64');
      value.set(old);
      e.when(equal, () => value.set(replacement));
      e.write(target, value.get);
      e.when(i32.eqz(equal), () => e.setRegister(RAX, old, bytes));
    } else {
      e.when(
        equal,
        () => e.write(target, replacement),
        () => e.setRegister(RAX, old, bytes),
      );
    }
    e.flags('sub', expected, old, e.sub(expected, old));
  },
});

/** Two halves of 4 or 8 bytes. */
function exchangePair(e: InstructionEmitter, target: Operand, half: 4 | 8): void {
  const host = e.hostForWrite(target);
  const load = half === 8 ? i64.load : i64.load32_u;
  const store = half === 8 ? i64.store : i64.store32;
  const low = e.let('i64', load(host));
  const high = e.let('i64', load(host, half));
  const sameLow = i64.eq(low, e.register(RAX, half));
  const sameHigh = i64.eq(high, e.register(RDX, half));
  const equal = e.let('i32', i32.and(sameLow, sameHigh));
  e.when(
    equal,
    () => {
      e.emit(store(host, e.register(RBX, half)));
      e.emit(store(host, e.register(RCX, half), half));
    },
    () => {
      e.setRegister(RAX, low, half);
      e.setRegister(RDX, high, half);
    },
  );
  e.done(target);
  e.setFlags({ Z: equal });
}

const cmpxchg8b = instruction({
  mnemonic: 'cmpxchg8b',
  source: 'SDM vol. 2A, CMPXCHG8B',
  forms: [['W0 0F C7 /1', 'Mq', 'lock']],
  writes: 'Z',
  feature: 'cx8',
  emit: (e, target) => exchangePair(e, target, 4),
});

const cmpxchg16b = instruction({
  mnemonic: 'cmpxchg16b',
  source: 'SDM vol. 2A, CMPXCHG16B: #GP unless aligned',
  forms: [['REX.W 0F C7 /1', 'Mdq', 'lock']],
  writes: 'Z',
  feature: 'cx16',
  emit: (e, target) => exchangePair(e, target, 8),
});

export const exchange: Family = { instructions: [xadd, cmpxchg, cmpxchg8b, cmpxchg16b] };
