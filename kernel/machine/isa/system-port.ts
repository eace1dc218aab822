// I/O ports: IN, OUT, INS, OUTS, and who may use them (SDM 1 chapter 19): code with CPL <= IOPL any port, other code
// those whose bits are clear in the task-state segment's bitmap. The devices are in devices/ports.ts; portRead and portWrite
// are the way there.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, ret, select } from '../exec/wasm.ts';
import { CONTEXT, RAM_BASE, SYSTEM } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import type { Family, Helper, Instruction } from './declare.ts';
import { instruction } from './declare.ts';
import { HELPER, failIf, fieldOf, lacksIoPrivilege, passFault, wordOf } from './system-support.ts';

const [RAX, RCX, RDX, RSI, RDI] = [0, 1, 2, 6, 7] as const;
type Size = 1 | 2 | 4;
/** REX.W changes nothing. */
const sizeOf = (bytes: number | undefined): Size => (bytes === 1 ? 1 : bytes === 2 ? 2 : 4);

/** In the 64-bit TSS: where the offset of the bitmap stands. */
const BITMAP_FIELD = 0x66;

/** portAllowed(context, port, bytes): #GP(0) unless this code may use the ports. */
const portAllowed: Helper = {
  name: 'portAllowed',
  parameters: ['i32', 'i32', 'i32'],
  result: 'i32',
  emit(f, context, port, size) {
    f.when(i32.eqz(lacksIoPrivilege(f)), () => f.emit(ret(i32.const(HELPER.done))));
    const limit = f.let('i32', wordOf(f, SYSTEM.tssLimit));
    failIf(f, i32.lt_u(limit, i32.const(BITMAP_FIELD + 1)), VECTOR.generalProtection);
    const base = f.let('i64', fieldOf(f, SYSTEM.tssBase));
    const twoBytesAt = (offset: Code): Code => {
      const linear = i64.add(base, i64.extend_i32_u(offset));
      const host = f.let(
        'i32',
        f.call('systemHost', context, f.let('i64', linear), i32.const(2), i32.const(0)),
      );
      passFault(f, i32.eqz(host));
      return f.let('i32', i32.load16_u(host));
    };
    const bitmap = twoBytesAt(i32.const(BITMAP_FIELD));
    const offset = f.let('i32', i32.add(bitmap, i32.shr_u(port, i32.const(3))));
    // Two bytes are read, so that one more byte must follow the bitmap
    failIf(f, i32.ge_u(offset, limit), VECTOR.generalProtection);
    const bits = i32.shr_u(twoBytesAt(offset), i32.and(port, i32.const(7)));
    const wanted = i32.sub(i32.shl(i32.const(1), size), i32.const(1));
    failIf(f, i32.and(bits, wanted), VECTOR.generalProtection);
    return i32.const(HELPER.done);
  },
};

/** The port that an immediate or DX names. */
function portOf(e: InstructionEmitter, immediate: Code | undefined): Code {
  return e.let('i32', i32.wrap_i64(immediate ?? e.register(RDX, 2)));
}

function portMove(direction: 'in' | 'out', opcodes: readonly [string, string, string, string]): Instruction {
  const [immediate8, immediate32, dx8, dx32] = opcodes;
  const isIn = direction === 'in';
  return instruction({
    mnemonic: direction,
    source: `SDM vol. 2, ${direction.toUpperCase()}`,
    forms: [
      [`${immediate8} ib`, isIn ? 'AL,Ib' : 'Ib,AL'],
      [`${immediate32} ib`, isIn ? 'rAX,Ib' : 'Ib,rAX'],
      [dx8, isIn ? 'AL,DX' : 'DX,AL'],
      [dx32, isIn ? 'rAX,DX' : 'DX,rAX'],
    ],
    emit(e, ...operands) {
      const [accumulator, where] = isIn ? operands : [operands[1], operands[0]];
      const size = sizeOf(accumulator?.size);
      const port = portOf(e, where === undefined ? undefined : e.read(where));
      e.faultIf(e.call('portAllowed', e.context, port, i32.const(size)));
      if (!isIn)
        return e.emit(e.call('portWrite', e.context, port, i32.const(size), i32.wrap_i64(e.register(RAX))));
      const value = e.call('portRead', e.context, port, i32.const(size));
      e.setRegister(RAX, e.let('i64', i64.extend_i32_u(value)), size);
    },
  });
}

const LOAD = { 1: i32.load8_u, 2: i32.load16_u, 4: i32.load } as const;
const STORE = { 1: i32.store8, 2: i32.store16, 4: i32.store } as const;
const DIRECTION = 0x400;
/** Elements after which a repeated instruction lets the run loop look at its budget. */
const ELEMENTS_MAX = 4096;
/** Not done yet: go on at the same instruction. */
const AGAIN = 2;

/** ins1(context, segment base, address mask, repeat) and so on → HELPER or AGAIN. */
function portString(direction: 'ins' | 'outs', size: Size): Helper {
  return {
    name: `${direction}${size}`,
    parameters: ['i32', 'i64', 'i64', 'i32'],
    result: 'i32',
    emit(f, context, base, mask, repeat) {
      const register = (number: number): Code => i64.load(context, CONTEXT.gpr + number * 8);
      const setRegister = (number: number, value: Code): void =>
        f.emit(i64.store(context, i64.and(value, mask), CONTEXT.gpr + number * 8));
      const pointer = direction === 'ins' ? RDI : RSI;
      const isDown = i64.and(f.get('rflags'), i64.const(DIRECTION));
      const step = f.let('i64', select(i64.eqz(isDown), i64.const(size), i64.const(-size)));
      const port = f.let('i32', i32.load16_u(context, CONTEXT.gpr + RDX * 8));
      const left = f.variable('i32');
      left.set(i32.const(ELEMENTS_MAX));
      const bytes = i32.const(size);
      const stop = (outcome: number): void => f.emit(ret(i32.const(outcome)));
      const isDone = i32.and(i32.ne(repeat, i32.const(0)), i64.eqz(i64.and(register(RCX), mask)));
      passFault(f, f.call('portAllowed', context, port, bytes));
      f.when(isDone, () => stop(HELPER.done));
      f.loop((leave) => {
        const address = f.let('i64', i64.add(i64.and(register(pointer), mask), base));
        const access = direction === 'ins' ? 'hostWrite' : 'hostRead';
        const host = f.let('i32', f.call(access, context, address, bytes));
        passFault(f, i32.eqz(host));
        movePort(f, direction, size, port, host);
        setRegister(pointer, i64.add(register(pointer), step));
        leave(i32.eqz(repeat));
        setRegister(RCX, i64.sub(register(RCX), i64.const(1)));
        leave(i64.eqz(register(RCX)));
        left.set(i32.sub(left.get, i32.const(1)));
        f.when(i32.eqz(left.get), () => stop(AGAIN));
      });
      return i32.const(HELPER.done);
    },
  };
}

function movePort(f: Emitter, direction: 'ins' | 'outs', size: Size, port: Code, host: Code): void {
  const bytes = i32.const(size);
  if (direction === 'outs') return f.emit(f.call('portWrite', f.context, port, bytes, LOAD[size](host)));
  f.emit(STORE[size](host, f.let('i32', f.call('portRead', f.context, port, bytes))));
  f.when(i32.lt_u(host, i32.const(RAM_BASE)), () => f.emit(f.call('writeBack', f.context)));
}

function portStrings(direction: 'ins' | 'outs', opcodes: readonly [string, string]): Instruction {
  return instruction({
    mnemonic: direction,
    source: `SDM vol. 2, ${direction.toUpperCase()}; REP`,
    forms: [
      [opcodes[0], '', 'b rep a32'],
      [opcodes[1], '', 'v rep a32'],
    ],
    emit(e) {
      const base = direction === 'outs' ? e.segmentBase() : i64.const(0);
      const mask = i64.const(e.address32 ? 0xffff_ffff : -1);
      const repeat = i32.const(e.repeat === 'none' ? 0 : 1);
      const outcome = e.let('i32', e.call(`${direction}${sizeOf(e.size)}`, e.context, base, mask, repeat));
      e.faultIf(i32.eq(outcome, i32.const(HELPER.fault)));
      e.when(i32.eq(outcome, i32.const(AGAIN)), () => e.jumpTo(e.rip()));
    },
  });
}

const SIZES = [1, 2, 4] as const;
export const systemPort: Family = {
  helpers: [portAllowed, ...SIZES.flatMap((size) => [portString('ins', size), portString('outs', size)])],
  instructions: [
    portMove('in', ['E4', 'E5', 'EC', 'ED']),
    portMove('out', ['E6', 'E7', 'EE', 'EF']),
    portStrings('ins', ['6C', '6D']),
    portStrings('outs', ['6E', '6F']),
  ],
};
