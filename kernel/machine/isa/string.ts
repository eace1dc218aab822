// String instructions with their repeat prefixes. A repeated one counts as one instruction when it completes. It moves
// RCX, RSI and RDI as it goes, so that after a fault it starts over where it was. Upward movs and stos work in pieces of
// up to a page; the rest goes element by element. After some milliseconds of that it counts and starts over, too, so that
// no count in RCX and no page tables keep the run loop from its budget.

import type { Emitter, InstructionEmitter } from '../exec/emitter.ts';
import { emitFlags } from '../exec/flags.ts';
import type { Code } from '../exec/wasm.ts';
import { i32, i64, memory, ret, select } from '../exec/wasm.ts';
import { CONTEXT, RAM_BASE } from '../layout.ts';
import { VECTOR } from '../machine.ts';
import type { Family, Helper, Instruction } from './declare.ts';
import { instruction } from './declare.ts';

type Operation = 'movs' | 'stos' | 'lods' | 'scas' | 'cmps';
const USES = {
  movs: { source: true, target: true, bulk: true },
  stos: { source: false, target: true, bulk: true },
  lods: { source: true, target: false, bulk: false },
  scas: { source: false, target: true, bulk: false },
  cmps: { source: true, target: true, bulk: false },
} as const;
const SIZES = [1, 2, 4, 8] as const;
type Size = (typeof SIZES)[number];
const LOAD = { 1: i64.load8_u, 2: i64.load16_u, 4: i64.load32_u, 8: i64.load } as const;
const STORE = { 1: i64.store8, 2: i64.store16, 4: i64.store32, 8: i64.store } as const;
const [RAX, RCX, RSI, RDI] = [0, 1, 6, 7] as const;
const TRAP_FLAG = 0x100;
/** Work of one counted instruction: one for an element, more for a piece of a page. */
const WORK_MAX = 1 << 20;
const WORK_OF_PIECE = 64;
/** What a helper returns. */
const OUTCOME = { done: 0, fault: 1, again: 2 } as const;

const registerOf = (f: Emitter, number: number): Code => i64.load(f.context, CONTEXT.gpr + number * 8);
const setRegister = (f: Emitter, number: number, value: Code): void =>
  f.emit(i64.store(f.context, value, CONTEXT.gpr + number * 8));

/** What one element does, given host addresses; yields nothing, flags are set for compares. */
function emitElement(f: Emitter, operation: Operation, size: Size, source: Code, target: Code): void {
  const accumulator = LOAD[size](f.context, CONTEXT.gpr + RAX * 8);
  if (operation === 'movs' || operation === 'stos') {
    const value = operation === 'movs' ? LOAD[size](source) : accumulator;
    f.emit(STORE[size](target, value));
    f.when(i32.lt_u(target, i32.const(RAM_BASE)), () => f.emit(f.call('writeBack', f.context)));
  } else if (operation === 'lods') {
    const value = LOAD[size](source);
    f.emit(size < 4 ? STORE[size](f.context, value, CONTEXT.gpr) : i64.store(f.context, value, CONTEXT.gpr));
  } else {
    const a = f.let('i64', operation === 'scas' ? accumulator : LOAD[size](source));
    const b = f.let('i64', LOAD[size](target));
    emitFlags(f, 'sub', a, b, f.let('i64', i64.sub(a, b)), size);
  }
}

/**
 * name(context, segment base, address mask, repeat) → OUTCOME. repeat: 0 once, 1 rep or repe, 2 repne.
 */
function stringHelper(operation: Operation, size: Size): Helper {
  return {
    name: `${operation}${size}`,
    parameters: ['i32', 'i64', 'i64', 'i32'],
    result: 'i32',
    emit(f, _context, base, mask, repeat) {
      const uses = USES[operation];
      const isDown = f.let('i64', i64.and(f.get('rflags'), i64.const(0x400)));
      const isStepped = f.let('i32', i32.wrap_i64(i64.and(f.get('rflags'), i64.const(TRAP_FLAG))));
      // With 67h a repeated one clears upper halves before anything else, also when the count is 0: so do Intel's CPUs
      f.when(i32.and(i32.ne(repeat, i32.const(0)), i64.ne(mask, i64.const(-1))), () => {
        const cleared = operation === 'movs' ? [RCX, RSI, RDI] : operation === 'stos' ? [RCX, RDI] : [RCX];
        for (const number of cleared) setRegister(f, number, i64.and(registerOf(f, number), mask));
      });
      const step = f.let('i64', select(i64.eqz(isDown), i64.const(size), i64.const(-size)));
      const count = f.variable('i64');
      const source = f.variable('i64');
      const target = f.variable('i64');
      const sourceHost = f.variable('i32');
      const targetHost = f.variable('i32');
      sourceHost.set(i32.const(0));
      targetHost.set(i32.const(0));
      const advance = (elements: Code, by: Code): void => {
        const moved = f.let('i64', i64.mul(elements, by));
        if (uses.source) setRegister(f, RSI, i64.and(i64.add(registerOf(f, RSI), moved), mask));
        if (uses.target) setRegister(f, RDI, i64.and(i64.add(registerOf(f, RDI), moved), mask));
        f.when(repeat, () => {
          setRegister(f, RCX, i64.and(i64.sub(count.get, elements), mask));
        });
      };
      // Elements before a fault, a single-step trap or a new start leave no flags behind
      const compares = operation === 'cmps' || operation === 'scas';
      const flagFields = [CONTEXT.flagA, CONTEXT.flagB, CONTEXT.flagResult, CONTEXT.flagKind] as const;
      const before = compares ? flagFields.map((field) => f.let('i64', i64.load(f.context, field))) : [];
      const stop = (outcome: number): void => {
        flagFields.forEach((field, i) => {
          const value = before[i];
          const store = field === CONTEXT.flagKind ? i64.store32 : i64.store;
          if (value !== undefined) f.emit(store(f.context, value, field));
        });
        f.emit(ret(i32.const(outcome)));
      };
      const giveUp = (): void => stop(OUTCOME.fault);
      const work = f.variable('i32');
      work.set(i32.const(WORK_MAX));
      const tire = (by: number): void => {
        work.set(i32.sub(work.get, i32.const(by)));
        f.unlikely(i32.le_s(work.get, i32.const(0)), () => stop(OUTCOME.again));
      };
      f.loop((leave, again) => {
        f.when(
          repeat,
          () => count.set(i64.and(registerOf(f, RCX), mask)),
          () => count.set(i64.const(1)),
        );
        f.when(i64.eqz(count.get), () => f.emit(ret(i32.const(OUTCOME.done))));
        const size32 = i32.const(size);
        const readTarget = (access: 'hostRead' | 'hostWrite'): void => {
          target.set(i64.and(registerOf(f, RDI), mask));
          targetHost.set(f.call(access, f.context, target.get, size32));
          f.when(i32.eqz(targetHost.get), giveUp);
        };
        if (operation === 'cmps') {
          // RDI first, as CPUs do. Both may cross a page, and there is one scratch area for reading: keep the element
          readTarget('hostRead');
          f.emit(i64.store(f.context, f.let('i64', LOAD[size](targetHost.get)), CONTEXT.scratch));
          targetHost.set(i32.add(f.context, i32.const(CONTEXT.scratch)));
        }
        if (uses.source) {
          source.set(i64.add(i64.and(registerOf(f, RSI), mask), base));
          sourceHost.set(f.call('hostRead', f.context, source.get, size32));
          f.when(i32.eqz(sourceHost.get), giveUp);
        }
        if (uses.target && operation !== 'cmps') readTarget(compares ? 'hostRead' : 'hostWrite');
        if (uses.bulk) {
          // As many elements as lie in both pages
          const room = (address: Code): Code => i64.sub(i64.const(4096), i64.and(address, i64.const(4095)));
          const bytes = f.variable('i64');
          bytes.set(room(target.get));
          if (uses.source) bytes.set(f.call('minimum', bytes.get, room(source.get)));
          const whole = i64.div_u(bytes.get, i64.const(size));
          const elements = f.let('i64', f.call('minimum', whole, count.get));
          bytes.set(i64.mul(elements, i64.const(size)));
          const worth = i32.and(
            i32.and(i64.gt_u(elements, i64.const(1)), i64.eqz(isDown)),
            i32.eqz(isStepped),
          );
          f.when(worth, () => {
            const length = i32.wrap_i64(bytes.get);
            if (operation === 'stos') fillElements(f, size, targetHost.get, length);
            else copyElements(f, size, targetHost.get, sourceHost.get, length);
            advance(elements, i64.const(size));
            f.when(i64.ne(elements, count.get), () => tire(WORK_OF_PIECE));
            again();
          });
        }
        emitElement(f, operation, size, sourceHost.get, targetHost.get);
        advance(i64.const(1), step);
        leave(i32.eqz(repeat));
        if (operation === 'cmps' || operation === 'scas') {
          // repe goes on while equal, repne while not
          const equal = i64.eqz(i64.load(f.context, CONTEXT.flagResult));
          leave(i32.ne(equal, i32.eq(repeat, i32.const(1))));
        }
        // Single-stepped, a repeated one traps behind each element but the last, before it is through
        const isLast = f.let('i32', i64.eqz(i64.and(registerOf(f, RCX), mask)));
        f.unlikely(i32.and(i32.ne(isStepped, i32.const(0)), i32.eqz(isLast)), () => {
          f.emit(i32.store(f.context, i32.const(VECTOR.debug), CONTEXT.trapVector));
          f.emit(i32.store(f.context, i32.const(0), CONTEXT.trapError));
          giveUp();
        });
        f.unlikely(isLast, () => f.emit(ret(i32.const(OUTCOME.done))));
        tire(1);
      });
      return i32.const(OUTCOME.done);
    },
  };
}

/** memory.fill for bytes; else the first element is stored and doubled. */
function fillElements(f: Emitter, size: Size, target: Code, length: Code): void {
  const accumulator = LOAD[size](f.context, CONTEXT.gpr + RAX * 8);
  if (size === 1) return f.emit(memory.fill(target, i32.wrap_i64(accumulator), length));
  f.emit(STORE[size](target, accumulator));
  const done = f.variable('i32');
  const part = f.variable('i32');
  done.set(i32.const(size));
  f.loop((leave) => {
    leave(i32.ge_u(done.get, length));
    const left = i32.sub(length, done.get);
    part.set(select(i32.lt_u(done.get, left), done.get, left));
    f.emit(memory.copy(i32.add(target, done.get), target, part.get));
    done.set(i32.add(done.get, part.get));
  });
}

/** A target inside the source's range must see what was just written, so it goes element by element. */
function copyElements(f: Emitter, size: Size, target: Code, source: Code, length: Code): void {
  const overlaps = i32.lt_u(i32.sub(target, source), length);
  f.when(
    overlaps,
    () => {
      const at = f.variable('i32');
      at.set(i32.const(0));
      f.loop((leave) => {
        leave(i32.ge_u(at.get, length));
        f.emit(STORE[size](i32.add(target, at.get), LOAD[size](i32.add(source, at.get))));
        at.set(i32.add(at.get, i32.const(size)));
      });
    },
    () => f.emit(memory.copy(target, source, length)),
  );
}

function stringInstruction(operation: Operation, opcode: number): Instruction {
  const hex = (byte: number): string => byte.toString(16).toUpperCase();
  const compares = operation === 'cmps' || operation === 'scas';
  const repeats = compares ? 'repz' : 'rep';
  return instruction({
    mnemonic: operation,
    source: `SDM vol. 2, ${operation.toUpperCase()}; REP/REPE/REPNE`,
    forms: [
      [hex(opcode), '', `b ${repeats} a32`],
      [hex(opcode + 1), '', `v ${repeats} a32`],
    ],
    ...(compares ? { writes: 'OSZAPC' } : {}),
    emit(e: InstructionEmitter) {
      const base = USES[operation].source ? e.segmentBase() : i64.const(0);
      const mask = i64.const(e.address32 ? 0xffff_ffff : -1);
      const repeat = i32.const(e.repeat === 'none' ? 0 : e.repeat === 'rep' ? 1 : 2);
      const outcome = e.let('i32', e.call(`${operation}${e.size}`, e.context, base, mask, repeat));
      e.faultIf(i32.eq(outcome, i32.const(OUTCOME.fault)));
      e.unlikely(i32.eq(outcome, i32.const(OUTCOME.again)), () => e.jumpTo(e.rip()));
    },
  });
}

export const string: Family = {
  instructions: [
    stringInstruction('movs', 0xa4),
    stringInstruction('cmps', 0xa6),
    stringInstruction('stos', 0xaa),
    stringInstruction('lods', 0xac),
    stringInstruction('scas', 0xae),
  ],
  helpers: (['movs', 'stos', 'lods', 'scas', 'cmps'] as const).flatMap((operation) =>
    SIZES.map((size) => stringHelper(operation, size)),
  ),
};
