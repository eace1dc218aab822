// Calls out of a region: of the interpreter's handlers, and of other regions.

import type { Code, Label } from '../exec/wasm.ts';
import { br, call, callIndirect, i32, i64, local, ret, unlikely, when } from '../exec/wasm.ts';
import { HANDLER_SIGNATURE } from '../exec/signatures.ts';
import { CONTEXT, EXIT } from '../layout.ts';
import { flagHome, flagSets, spillX87, storeFlagWords } from './emit.ts';
import { exitCode } from './exits.ts';
import { flagWords } from './flags.ts';
import type { Instruction } from './region.ts';
import type { Assignment, PathState } from './unit.ts';
import {
  FLAG_LOCALS,
  LOCAL,
  allocate,
  context,
  copyState,
  emit,
  homeState,
  homeward,
  setTogether,
} from './unit.ts';
import type { Work } from './work.ts';
import { addressOf, reload, remainingLocal, spend, wasDropped } from './work.ts';

/** Nested calls of compiled functions at most; beyond, the chain is unwound. */
const DEPTH_MAX = 200;

/** The interpreter's handler executes the instruction: registers go to the context and come back. */
export function emitCallout(work: Work, instruction: Instruction): void {
  const { unit, services } = work;
  const index = services.handlerFor(instruction);
  const pageDelta = Math.floor(instruction.at / 4096) * 4096;
  const { executed } = unit.state;
  toContext(work);
  emit(unit, i64.store(context, addressOf(pageDelta), CONTEXT.pageBase));
  emit(unit, i32.store(context, i32.sub(remainingLocal, i32.const(executed + 1)), CONTEXT.remaining));
  const status = allocate(unit, 'i32');
  emit(unit, local.set(status, callIndirect(HANDLER_SIGNATURE, i32.const(index), context, i32.const(instruction.record))));
  // A fault: everything is as it was, so the interpreter meets it again; and a repeated one that goes on later, counted
  const home = homeState(unit, { kind: 'context' });
  home.executed = executed;
  const counted = copyState(home);
  counted.executed++;
  const again = (state: PathState): Code => exitCode(work, state, EXIT.step, addressOf(instruction.at));
  const isCounted = i32.eq(local.get(status), i32.const(EXIT.jump));
  emit(unit, unlikely(local.get(status), [reload(work), when(isCounted, again(counted)), again(home)]));
  emit(unit, reload(work));
  home.executed++;
  unit.state = home;
  // All the way out: a caller may be among what was dropped
  const behind = instruction.at + instruction.length;
  emit(unit, unlikely(wasDropped(work), exitCode(work, home, EXIT.step, addressOf(behind))));
} // prettier-ignore

/** Registers and flags to the context, from where others take them. */
function toContext(work: Work): void {
  const { unit } = work;
  const { flags } = unit.state;
  spillX87(unit);
  const sets = homeward(unit);
  if (flags.kind === 'locals') emit(unit, call('storeFlags', context, ...FLAG_LOCALS));
  else if (flags.kind !== 'context') storeFlagWords(unit, flagWords(flags, flagHome(unit)));
  if (sets.length > 0) emit(unit, setTogether(sets));
  const stores: Code[] = [];
  work.stores.push(stores);
  emit(unit, stores);
}

/** A call of a function that is not part of the region; the code behind `call` makes it. */
export function emitCall(work: Work, target: Code, back: number): void {
  const { unit } = work;
  const entry = work.entries.get(back);
  if (entry === undefined) {
    emit(unit, exitCode(work, unit.state, EXIT.jump, target));
    unit.state.ended = true;
    return;
  }
  work.calls = true;
  spillX87(unit);
  const { flags, executed } = unit.state;
  if (flags.kind === 'locals') emit(unit, call('storeFlags', context, ...FLAG_LOCALS));
  const isStored = flags.kind === 'locals' || flags.kind === 'context';
  const words = isStored ? [] : flagWords(flags, flagHome(unit));
  const further: Assignment[] = [
    [LOCAL.exitAt, target],
    [LOCAL.backAt, addressOf(back)],
    [LOCAL.entry, i32.const(entry)],
  ];
  emit(unit, setTogether([...homeward(unit), ...flagSets(words), ...further]));
  emit(unit, spend(executed));
  emit(unit, br(isStored ? work.call : work.callFlags));
  unit.state.ended = true;
}

/** Behind `call`: of compiled code, if there is some, as a wasm call; else of the interpreter in its place. */
export function callCode(work: Work, reloading: Label): Code {
  const stores: Code[] = [];
  work.stores.push(stores);
  const target = local.get(LOCAL.exitAt);
  const back = local.get(LOCAL.backAt);
  const deeper = i32.add(local.get(LOCAL.depth), i32.const(1));
  const gone = local.get(LOCAL.status);
  const returned = i32.and(i32.eq(gone, i32.const(EXIT.jump)), i64.eq(i64.load(context, CONTEXT.rip), back));
  const isStep = i32.eq(gone, i32.const(EXIT.step));
  const left = i32.load(context, CONTEXT.remaining);
  // The function goes on in code that is not compiled: the interpreter takes it back to here
  const interpreted = [
    unlikely(i32.eqz(i32.or(i32.eq(gone, i32.const(EXIT.jump)), isStep)), ret(gone)),
    local.set(LOCAL.status, call('resume', context, left, back, deeper, isStep)),
    unlikely(i32.ne(gone, i32.const(EXIT.returned)), ret(gone)),
  ];
  return [
    stores,
    i64.store(context, target, CONTEXT.rip),
    i32.store(context, remainingLocal, CONTEXT.remaining),
    unlikely(i32.ge_u(local.get(LOCAL.depth), i32.const(DEPTH_MAX)), ret(i32.const(EXIT.jump))),
    local.set(LOCAL.status, call('enterAt', context, target, remainingLocal, deeper)),
    when(i32.eqz(returned), interpreted),
    unlikely(wasDropped(work), ret(i32.const(EXIT.step))),
    local.set(LOCAL.remaining, i32.load(context, CONTEXT.remaining)),
    br(reloading),
  ];
}
