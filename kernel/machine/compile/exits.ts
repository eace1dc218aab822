// How a path of a region ends: everything goes home, then to the common end of the function; and the same in front of a
// merge or loop, where everything must be at home as well.

import type { Code } from '../exec/wasm.ts';
import { br, i32, i64, local } from '../exec/wasm.ts';
import { EXIT } from '../layout.ts';
import { flagHome, flagSets, spillX87 } from './emit.ts';
import { flagWords, rawWords } from './flags.ts';
import type { Assignment, Front, PathState } from './unit.ts';
import { LOCAL, collect, copyState, emit, homeward, setTogether } from './unit.ts';
import type { Work } from './work.ts';
import { remainingLocal, spend } from './work.ts';

/** The exit of a path: registers and flags go home, then to the common end. */
export function exitCode(work: Work, state: PathState, status: number, rip: Code): Code {
  return leaveWith(work, copyState(state), () => homeward(work.unit), status, rip);
}

/** Where a step exit is, in one number: its distance from the base, with what was executed in the lowest bits. */
const STEP_BITS = 10;
const stepNumber = (at: number, executed: number): number => at * (1 << STEP_BITS) + executed;

/**
 * The exit in front of an instruction, where every register is at home. There are as many of them as accesses to memory:
 * they are short, what they have in common is behind `leaveStep`.
 */
export function stepExit(work: Work, { at, flags, x87, executed }: Front): Code {
  const { unit } = work;
  const before = unit.state;
  unit.state = { ...before, flags, x87 };
  const code = collect(unit, () => {
    spillX87(unit);
    const words = flags.kind === 'context' || flags.kind === 'locals' ? [] : rawWords(flags, flagHome(unit));
    emit(unit, setTogether([...flagSets(words), [LOCAL.status, i32.const(stepNumber(at, executed))]]));
    emit(unit, br(flags.kind === 'context' ? work.stepBare : work.stepRaw));
  });
  unit.state = before;
  return code;
}

/** From the number of a step exit: where, and the count. */
export function stepCode(): Code {
  const number = local.get(LOCAL.status);
  const distance = i64.extend_i32_s(i32.shr_s(number, i32.const(STEP_BITS)));
  return [
    local.set(LOCAL.exitAt, i64.add(local.get(LOCAL.base), distance)),
    local.set(LOCAL.remaining, i32.sub(remainingLocal, i32.and(number, i32.const((1 << STEP_BITS) - 1)))),
    local.set(LOCAL.status, i32.const(EXIT.step)),
  ];
}

function leaveWith(work: Work, state: PathState, registers: () => readonly Assignment[], status: number, rip: Code): Code {
  const { unit } = work;
  const before = unit.state;
  unit.state = state;
  const code = collect(unit, () => {
    spillX87(unit);
    const { flags } = unit.state;
    const isHome = flags.kind === 'context' || flags.kind === 'locals';
    // Rare exits leave it to storeFlags to make the words what the interpreter wants
    const isRare = status === EXIT.step;
    const words = isHome ? [] : isRare ? rawWords(flags, flagHome(unit)) : flagWords(flags, flagHome(unit));
    emit(unit, setTogether([...registers(), ...flagSets(words), [LOCAL.exitAt, rip]]));
    emit(unit, spend(state.executed));
    emit(unit, local.set(LOCAL.status, i32.const(status)));
    const isRaw = isRare || flags.kind === 'locals';
    emit(unit, br(flags.kind === 'context' ? work.leaveBare : isRaw ? work.leaveRaw : work.leaveFlags));
  });
  unit.state = before;
  return code;
} // prettier-ignore

/** All registers home, flags in their locals, the count up to date: before control meets. */
export function goHome(work: Work, further: readonly Assignment[] = []): void {
  const { unit } = work;
  const { flags, executed } = unit.state;
  spillX87(unit);
  const words = flags.kind === 'locals' ? [] : rawWords(flags, flagHome(unit));
  const sets = [...homeward(unit), ...flagSets(words), ...further];
  if (sets.length > 0) emit(unit, setTogether(sets));
  emit(unit, spend(executed));
}
