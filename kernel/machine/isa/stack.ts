// The stack: push, pop, pushf, popf, enter, leave.

import type { Code } from '../exec/wasm.ts';
import { i64 } from '../exec/wasm.ts';
import { ARITHMETIC_FLAGS } from '../exec/flags.ts';
import type { Family } from './declare.ts';
import { instruction } from './declare.ts';
import { setFlagsFrom, settableFlags, startsChecks } from './far.ts';

const RSP = 4;
const RBP = 5;

const push = instruction({
  mnemonic: 'push',
  source: 'SDM vol. 2B, PUSH',
  forms: [
    ['50+r', 'Zv', 'd64'],
    ['FF /6', 'Ev', 'd64'],
    ['68 iz', 'Iz', 'd64'],
    ['6A ib', 'sIb', 'd64'],
  ],
  emit: (e, source) => e.push(e.read(source)),
});

const pop = instruction({
  mnemonic: 'pop',
  source: 'SDM vol. 2B, POP',
  forms: [
    ['58+r', 'Zv', 'd64'],
    ['8F /0', 'Ev', 'd64 popm'],
  ],
  emit(e, target) {
    const value = e.top();
    const above = e.add(e.register(RSP), i64.const(e.size));
    if (e.isMemory(target)) {
      e.write(target, value);
      e.setRegister(RSP, above);
    } else {
      e.setRegister(RSP, above);
      e.write(target, value); // POP RSP keeps the value
    }
  },
});

const RESUME_AND_VIRTUAL = 0x3_0000;

const pushf = instruction({
  mnemonic: 'pushf',
  source: 'SDM vol. 2B, PUSHF/PUSHFD/PUSHFQ',
  forms: [['9C', '', 'd64 v']],
  emit(e) {
    const others = i64.and(e.get('rflags'), i64.const(~(ARITHMETIC_FLAGS | RESUME_AND_VIRTUAL)));
    e.push(i64.or(i64.or(others, i64.const(2)), i64.extend_i32_u(e.flagBits())));
  },
});

const popf = instruction({
  mnemonic: 'popf',
  source: 'SDM vol. 2B, POPF/POPFD/POPFQ',
  forms: [['9D', '', 'd64 v']],
  writes: 'OSZAPC',
  emit(e) {
    const value = e.top();
    const mask = settableFlags(e);
    e.setRegister(RSP, e.add(e.register(RSP), i64.const(e.size)));
    setFlagsFrom(e, value, e.size === 2 ? i64.and(mask, i64.const(0xffff)) : mask);
    e.unlikely(startsChecks(value, e.size), () => e.exit('privilege'));
  },
});

const leave = instruction({
  mnemonic: 'leave',
  source: 'SDM vol. 2A, LEAVE',
  forms: [['C9', '', 'd64 v']],
  emit(e) {
    const frame = e.register(RBP);
    const value = e.loadAt(frame, e.size === 2 ? 2 : 8);
    e.setRegister(RSP, i64.add(frame, i64.const(e.size)));
    e.setRegister(RBP, value, e.size);
  },
});

const enter = instruction({
  mnemonic: 'enter',
  source: 'SDM vol. 2A, ENTER',
  forms: [['C8 iw ib', 'Iz,Ib', 'd64']],
  emit(e, bytes, nesting) {
    const stack = e.variable('i64');
    const frame = e.variable('i64');
    const width = e.size === 2 ? 2 : 8;
    const store = (value: Code): void => {
      stack.set(i64.sub(stack.get, i64.const(width)));
      const host = e.hostAt(stack.get, width, 'write');
      e.emit(width === 2 ? i64.store16(host, value) : i64.store(host, value));
      e.doneAt(host);
    };
    stack.set(e.register(RSP));
    store(e.register(RBP));
    const newFrame = e.let('i64', stack.get);
    const level = e.let('i64', i64.and(e.read(nesting), i64.const(31)));
    frame.set(e.register(RBP));
    e.when(i64.ne(level, i64.const(0)), () => {
      const left = e.variable('i64');
      left.set(i64.sub(level, i64.const(1)));
      e.loop((stop) => {
        stop(i64.eqz(left.get));
        frame.set(i64.sub(frame.get, i64.const(width)));
        store(e.loadAt(frame.get, width));
        left.set(i64.sub(left.get, i64.const(1)));
      });
      store(newFrame);
    });
    const end = e.let('i64', i64.sub(stack.get, i64.and(e.read(bytes), i64.const(0xffff))));
    e.hostAt(end, 1, 'write'); // the new top must be writable before registers change
    e.setRegister(RBP, newFrame, e.size);
    e.setRegister(RSP, end);
  },
});

export const stack: Family = { instructions: [push, pop, pushf, popf, leave, enter] };
